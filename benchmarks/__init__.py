"""Benchmarks as ratios: what a thing costs against what it would replace, on the machine at hand (benchmarks/README.md)."""
