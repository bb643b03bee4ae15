"""The ways to a board that harness brings, a file each: the name in hosts.yaml is the file's."""
