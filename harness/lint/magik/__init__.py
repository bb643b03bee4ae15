"""Configs of Magik's transform kit."""
