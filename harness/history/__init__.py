"""What was measured before: an index of nights and run folders, models that were good, layers that changed."""
