"""A night as a page and as JUnit."""
