"""Claims that can fail, on real parts."""
