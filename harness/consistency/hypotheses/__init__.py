"""What an op may have done instead: variants of it run on the PC, held against the board's values."""
