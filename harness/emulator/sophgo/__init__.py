"""Sophgo boards, played by the vendor's own compiler and chip simulator (tpu-mlir), in an environment of their own."""
