"""Ingenic's programs, played."""
