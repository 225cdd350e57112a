"""What the control plane does with the objects: the controllers, the scheduler, and the names for DNS."""
