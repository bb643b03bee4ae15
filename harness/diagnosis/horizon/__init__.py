"""What diagnosis knows of Horizon's toolchains and boards."""
