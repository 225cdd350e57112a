"""The Kubernetes objects the sandbox understands, as frozen models that refuse everything else."""
