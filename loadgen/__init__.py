"""Load of images on a Redis Cluster: an open loop at a wanted rate, or as much as the connections carry.

It runs beside the sandbox (`python -m loadgen`) and in the Job *validation*, so it needs the standard library and
redis-py alone. Why it is not one of the tools that exist: docs/adr/0028-the-load-generator-is-our-own.md.
"""
