"""What calibration data is worth: ranges, outliers, duplicates, and what a run is fed against it."""
