"""The compiled model of an emulated board: its file, how it computes, the faults planted in it."""
