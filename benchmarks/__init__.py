"""Measurements of harness itself; each prints JSON."""
