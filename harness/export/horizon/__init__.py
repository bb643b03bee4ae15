"""Records in the forms of Horizon's and D-Robotics' own tools."""
