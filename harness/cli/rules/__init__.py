"""Commands about rules: of findings and of configs."""
