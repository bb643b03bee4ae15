"""What int8 costs a model, op by op."""
