"""Forms, repairs and resizes a Redis Cluster from what its nodes say and what the topology wants.

Runs inside the Kubernetes cluster with the standard library and redis-py alone. The flow is *observe* (every node's
own report) → *decide* (a pure function to a list of actions) → *act* (one action at a time, verified), repeated until
nothing is left to do or the deadline ends. Any run may be killed at any moment; the next one starts from what it sees.
"""
