"""What a command does before it imports Prefect."""

import logging

from thousandeyes.proxies import trusted


def leave_variables_to_the_command() -> None:
    """Keep Prefect from logging a CA variable that can't be used, when it is imported.

    It would log a traceback, and continue. A command says so in a sentence and ends: see `prepare`.
    """
    logging.getLogger("prefect.plugins").addFilter(_is_of_something_else)


def _is_of_something_else(_: logging.LogRecord) -> bool:
    try:
        trusted()
    except OSError:
        return False
    return True
