"""A night: a suite of cases on the boards of a lab, from one PC, in one process, with a verdict for every pair."""
