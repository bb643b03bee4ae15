"""Mistakes in a toolchain's config, before the toolchain finds them."""
