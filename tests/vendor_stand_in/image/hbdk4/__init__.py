"""TEST stand-in of a toolchain in an image that has numpy alone."""
