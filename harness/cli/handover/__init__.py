"""Commands whose result is handed to others: archives for a vendor, packages for a board."""
