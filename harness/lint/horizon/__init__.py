"""Configs of hb_mapper and hb_compile."""
