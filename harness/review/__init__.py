"""From a run folder to a verdict; needs no board."""
