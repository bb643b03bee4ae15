"""From files to pairs of logical tensors."""
