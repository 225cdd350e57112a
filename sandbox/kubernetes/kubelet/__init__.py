"""What a node does with the pods placed on it."""
