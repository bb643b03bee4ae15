"""What leaves a run for others: an archive for the vendor, a package that checks a board, and what may be deleted."""
