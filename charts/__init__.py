"""Our Helm charts, and what is made from each one's values.yaml: its values.schema.json and the table of its README.md."""
