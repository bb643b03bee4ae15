"""Quantize tables of Sophgo's compiler."""
