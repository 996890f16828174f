"""One home, one server."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.home import note, reserved
from thousandeyes.errors import SettingsError


def test_a_home_is_one_servers_for_as_long_as_a_process_that_inherited_it_lives(
    tmp_path: Path,
) -> None:
    (tmp_path / "server.lock").write_text("what a server that ended left behind")
    with reserved(tmp_path) as lock:
        note(lock, "process 17, port 4200")
        waits = (sys.executable, "-c", "input()")
        server = subprocess.Popen(waits, stdin=subprocess.PIPE, pass_fds=[lock.fileno()])
    with server:
        with pytest.raises(SettingsError, match=r"already uses .*: process 17, port 4200\. Use"):
            reserved(tmp_path).__enter__()
        server.kill()
    with reserved(tmp_path) as lock:
        assert os.fstat(lock.fileno()).st_size == 0


def test_a_home_that_can_not_be_locked_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(SettingsError, match="can't be locked: No locks available"):
        reserved(tmp_path).__enter__()


def test_a_lock_that_can_not_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "server.lock").mkdir()
    with pytest.raises(SettingsError, match=r"server\.lock can't be used: Is a directory"):
        reserved(tmp_path).__enter__()


def test_a_full_disk_costs_nothing_but_the_note() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        note(full, "process 17, port 4200")
