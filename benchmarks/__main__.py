"""python -m benchmarks: how fast the coach is and how fast its data is made, as ratios measured in one run."""

from benchmarks import engine, examples

if __name__ == "__main__":
    engine.main()
    examples.main()
