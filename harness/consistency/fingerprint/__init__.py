"""What kind of fault a difference looks like."""
