"""Single nodes of Magik's chips left out of quantization, and its ptq json."""
