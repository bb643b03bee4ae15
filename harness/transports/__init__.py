"""How bytes and commands reach a board."""
