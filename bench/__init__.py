"""What the packages cost and what decides their quality; see bench/README.md."""
