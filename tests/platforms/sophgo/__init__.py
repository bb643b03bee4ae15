"""Platform sophgo."""
