"""Parts of benchmarks/nights.py."""
