"""`python -m sandbox`: runs a stack's pods on this machine, looks into them, and breaks them."""

import sys

from sandbox.control.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
