"""Where the time goes: op times to split, segments and shares; statistics of samples; telemetry. Pure functions."""

from harness.profiling.split import order_of_dumps, profile

__all__ = ["order_of_dumps", "profile"]
