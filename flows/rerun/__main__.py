"""`python -m flows.rerun`: the same job from the command line."""

import sys

from flows.rerun.command_line import main
from thousandeyes.terminal import status_of

if __name__ == "__main__":
    sys.exit(status_of(main))
