"""What Magik's tools leave behind."""
