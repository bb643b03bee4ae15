"""From run.json to the tables of the page."""
