"""Metrics that a policy may ask for by name, a file each, beside the figures that every pair has."""
