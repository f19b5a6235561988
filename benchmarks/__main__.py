"""python -m benchmarks: how fast the coach is, as ratios measured in one run."""

from benchmarks.engine import main

main()
