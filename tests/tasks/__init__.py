"""Truth and metrics of tasks."""
