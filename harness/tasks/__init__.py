"""What a model is for: the truth of samples, and metrics of the task, for float, quantized and board alike."""
