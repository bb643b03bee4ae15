"""Ingenic's programs, emulated."""
