"""python -m bwcoach, the command line."""

import sys

from bwcoach.cli import main

if __name__ == "__main__":
    sys.exit(main())
