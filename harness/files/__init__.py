"""Files on this PC: written safely, recognised, hashed, and where the user's own lie."""
