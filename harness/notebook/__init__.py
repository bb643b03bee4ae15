"""For notebooks and scripts: run, compare, look at runs as DataFrames. Names load late, see `harness/__init__.py`."""
