"""Runs rendered Kubernetes objects as real processes on this machine, in namespaces without any uplink.

The sandbox knows Kubernetes, not the program that rendered the objects: what it does not support is an error that
names the object and the field, never silence. Its rooms, each of which uses only those below it:

    control      the command line, the Python client, the supervisor that answers both, and the faults
    kubernetes   what Pulumi, the API server, the controllers and the kubelet would do with the objects
    host         processes, containers, images, networks, names and file systems of this machine
"""
