"""Waits until an edit of a StatefulSet has reached its last pod, or says which pod holds it up, and why.

The Kubernetes provider of Pulumi does not do that: it takes an edit for done as soon as it is accepted, or, told to
wait, waits for hours without a reason (docs/reference/engine.md). The Jobs *rollout-…* run this between the
StatefulSets.
"""
