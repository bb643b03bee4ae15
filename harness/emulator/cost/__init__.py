"""What an accelerator's time is estimated from."""
