"""Folders of tensors."""
