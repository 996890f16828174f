"""Who named a file to a run, and so which files it may be.

On the command line the person who names it is the one who reads it. Whoever starts a run by a
deployment need not be allowed to read a single file of the worker's machine; nor need whoever
started an earlier run that a command line refers to be allowed to read that person's files.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tasks.deployment import deployment_id
from thousandeyes.files import read_inside, read_own
from thousandeyes.settings import FilesSettings

Reader = Callable[[Path, int], bytes]


def named_reader() -> Reader:
    """Return what reads the files that this run was named.

    Raises:
        SettingsError: What the environment says of them is wrong.
    """
    # The variable is what Prefect sets for the process of a run that it starts, and so for the
    # runs that are parts of it.
    if "PREFECT__FLOW_RUN_ID" in os.environ or deployment_id():
        return folder_reader()
    return read_own


def folder_reader() -> Reader:
    """Return what reads files that anybody may have named, such as those of an earlier run.

    Raises:
        SettingsError: What the environment says of them is wrong.
    """
    return partial(read_inside, FilesSettings().files_dir)
