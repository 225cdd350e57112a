"""A Prometheus in the sandbox, and what a cluster shows it besides the pods' own exporters."""
