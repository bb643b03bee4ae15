"""From an ONNX to a compiled model of an emulated board."""
