"""Commands about what int8 costs a model: sensitivity, tune."""
