"""Many samples in one session: batches of them, each one job on the board."""
