"""Parts of benchmarks/estimate.py and chips.py: published latencies, and networks drawn from papers."""
