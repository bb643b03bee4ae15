"""Horizon's runtimes: hbDNN and UCP."""
