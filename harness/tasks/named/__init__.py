"""Metrics of tasks, a file each."""
