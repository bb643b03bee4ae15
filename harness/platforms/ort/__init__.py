"""ONNX Runtime on a Linux board."""
