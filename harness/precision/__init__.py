"""What int8 costs a model, op by op, and the smallest change that is enough. All computed on this PC."""
