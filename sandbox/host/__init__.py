"""What this machine does for pods. Nothing here knows what a Kubernetes object is."""
