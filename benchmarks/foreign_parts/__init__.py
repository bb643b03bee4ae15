"""Parts of benchmarks/foreign.py: public runtimes, their networks, mistakes of real kinds."""
