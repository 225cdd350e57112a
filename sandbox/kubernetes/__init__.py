"""The rules of Kubernetes and of Pulumi, over a cluster that is held in memory."""
