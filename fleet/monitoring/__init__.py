"""What is watched of models and their accelerators, as code: figures of the catalogue, Prometheus rules, Grafana dashboards.

Pure data for any Prometheus; who installs one is `infra.kubernetes.monitoring`'s.
"""
