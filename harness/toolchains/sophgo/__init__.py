"""What Sophgo's compiler tpu-mlir leaves behind."""
