"""`python -m flows.rerun`: the same job from the command line."""

import sys

from tasks.before_prefect import leave_variables_to_the_command
from thousandeyes.terminal import status_of

if __name__ == "__main__":
    leave_variables_to_the_command()
    from flows.rerun.command_line import main

    sys.exit(status_of(main))
