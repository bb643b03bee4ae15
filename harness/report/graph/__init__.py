"""The whole network as a picture: read, folded into modules, laid out in layers, drawn."""
