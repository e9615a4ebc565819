"""Benchmarks as ratios: what a thing costs against what it would replace, on the machine at hand (benchmarks/README.md)."""

import os

# Containers like to set it; a user's modules are compiled once, not at each start that is measured.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
