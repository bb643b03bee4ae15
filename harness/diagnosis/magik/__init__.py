"""Findings about Magik builds."""
