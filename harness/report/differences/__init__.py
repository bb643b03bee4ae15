"""Two to twenty runs side by side: what was run, what came of it, how long it took. Runs in, tables and a page out."""
