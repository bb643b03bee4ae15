"""Boards with a real ONNX Runtime."""
