"""Types of single nodes on the chips of one vendor, and its configs."""
