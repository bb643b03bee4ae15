"""Parts of benchmarks of farms."""
