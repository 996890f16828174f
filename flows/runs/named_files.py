"""Who named a file to a run, and so which files are allowed.

On the command line the person who names a file is the one who reads it. Whoever starts a run by a
deployment may have no right to read any file of the worker's machine. Whoever started an earlier
run that a command line refers to may have no right to that person's files either.
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
    """Return what reads the files named to this run.

    Raises:
        SettingsError: The environment's setting for them is wrong.
    """
    # The variable is what Prefect sets for the process of a run that it starts, and so for the
    # runs that are parts of it.
    if "PREFECT__FLOW_RUN_ID" in os.environ or deployment_id():
        return folder_reader()
    return read_own


def folder_reader() -> Reader:
    """Return what reads files that anybody may have named, such as those of an earlier run.

    Raises:
        SettingsError: The environment's setting for them is wrong.
    """
    return partial(read_inside, FilesSettings().files_dir)
