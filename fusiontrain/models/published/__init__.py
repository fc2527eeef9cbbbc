"""Published networks, one paper a file, each for a fixed number of bands."""
