"""Questions beside board against reference."""
