"""A run's report: run.json in, tables, then one self-contained page. Knows no board and opens no link."""
