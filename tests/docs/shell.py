"""Typing what a page tells into a shell that knows nothing else."""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Thread

from tests.docs.commands import told
from tests.docs.pages import Script, checkout, scripts

_SECONDS = 900  # it bounds what would hang; `make setup` on a busy machine takes some minutes


def begun(directory: Path) -> Path:
    """Return a copy of the project whose reader has done the first steps of the README."""
    project = checkout(directory / "project")
    [step] = [one for one in scripts() if one.commands[:1] == ["echo 'TE_TOKEN=…' > .env"]]
    run(step, project, {})
    return project


def run(script: Script, directory: Path, known: Mapping[str, str], **variables: str) -> str:
    """Type a script, as `typed` does, wait for its end, and return what it printed."""
    with typed(script, directory, known, **variables) as shell:
        said = shell.communicate(timeout=_SECONDS)[0]
    assert shell.returncode == 0, said
    for one in told(script):
        assert re.search(one.shows.replace("{given}", known.get("given", "")), said), said
    return said


@contextlib.contextmanager
def stays(
    script: Script, directory: Path, known: Mapping[str, str], **variables: str
) -> Iterator[str]:
    """Type a script, as `typed` does, and let it go on until the block ends.

    Yields:
        What it printed until the last of it was ready.
    """
    with typed(script, directory, known, **variables) as shell:
        assert shell.stdout
        said = ""
        while not re.search(told(script)[-1].shows, said):
            line = shell.stdout.readline()
            assert line, said
            said += line
        rest = Thread(target=shell.stdout.read, daemon=True)  # a full pipe would stop it
        rest.start()
        yield said
        os.killpg(shell.pid, signal.SIGTERM)
        rest.join(_SECONDS)


@contextlib.contextmanager
def typed(
    script: Script, directory: Path, known: Mapping[str, str], **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """Type a script into a shell that knows nothing else.

    Args:
        script: What to type.
        directory: Where: a copy of the project.
        known: What stands for the names in braces.
        variables: What the page says in words that the environment has.
    """
    text = "\n".join(script.lines)
    for one in told(script):
        for word, instead in one.instead.items():
            text = text.replace(word, instead.format(**known))
    home = str(directory.parent / "home")
    bare = {"PATH": "/usr/bin:/bin", "HOME": home, "DO_NOT_TRACK": "1"}
    with subprocess.Popen(
        ["/bin/sh", "-ec", text],
        cwd=directory,
        env=bare | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            yield shell
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
