"""Many samples of one run: what each says, what they say together, and what a sequence of them does over time."""
