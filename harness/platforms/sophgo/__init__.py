"""Sophgo: BM168x and CV186x with libsophon, CV18xx with the TPU SDK. Facts and sources: docs/boards/sophgo.md."""
