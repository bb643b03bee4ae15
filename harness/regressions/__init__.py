"""Whether the latency of one pair of case and board has changed: levels, change points, confirmation. Numpy only."""
