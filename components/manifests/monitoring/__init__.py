"""What Prometheus and Grafana are given: rules, alerts, a dashboard, and how the exporters are found."""
