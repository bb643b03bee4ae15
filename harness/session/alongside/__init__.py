"""What runs or is looked at while a board measures: the user's own load, the board's monitors, its sensors."""
