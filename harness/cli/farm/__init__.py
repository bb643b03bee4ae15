"""Commands about several boards at once, and about a lab."""
