"""The formats that harness brings, a file each: the name that `--as` takes is the file's."""
