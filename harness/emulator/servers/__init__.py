"""Real ssh servers in front of emulated boards."""
