"""What models really cost, burnt and emitted, from their cluster's Prometheus, beside what the report estimated."""
