"""Horizon's tools, emulated."""
