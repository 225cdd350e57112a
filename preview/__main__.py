"""`python -m preview`: shows what a stack comes to, offline."""

import sys

from preview.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
