"""Which op is to blame."""
