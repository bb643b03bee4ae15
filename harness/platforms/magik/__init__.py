"""Ingenic's runtime."""
