"""How fast the coach is, as ratios measured in one run: `make bench`."""
