"""Networks that benchmarks and tests build."""
