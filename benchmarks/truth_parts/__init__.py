"""Parts of benchmarks/truth.py and second_architecture.py: planting and scoring."""
