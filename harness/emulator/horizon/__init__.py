"""Horizon's tools, played."""
