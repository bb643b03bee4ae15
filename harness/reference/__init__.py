"""The PC's side: the model's graph and its tensors."""
