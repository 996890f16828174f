"""`python -m flows.rerun`: the same job from the command line."""

import sys

from flows.rerun.command_line import main

if __name__ == "__main__":
    sys.exit(main())
