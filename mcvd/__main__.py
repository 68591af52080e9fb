"""``python -m mcvd``: the command line."""

import sys

from mcvd.apps.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
