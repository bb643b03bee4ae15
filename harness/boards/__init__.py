"""One board: how it is reached, held, powered and prepared."""
