"""`python -m hamster` is the command `hamster`."""

import sys

from hamster.cli import main

if __name__ == "__main__":
    sys.exit(main())
