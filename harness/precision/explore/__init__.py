"""What-if over configurations of a toolchain: error against estimated latency, all of it computed on this PC."""
