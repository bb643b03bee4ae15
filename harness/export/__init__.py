"""What `harness export` makes of a run: texts of any vendor's board, and records in a vendor's own form."""
