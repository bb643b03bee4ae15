"""Parts of the benchmarks about precision."""
