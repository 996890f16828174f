"""Whoever may start runs reads no file of the worker with them, and fills and halts nothing."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.create.definitions import read_definitions
from flows.rerun.sources import read_ids
from flows.runs.named_files import named_reader
from thousandeyes.errors import InvalidDefinitions, InvalidTestIds, SettingsError
from thousandeyes.files import LARGEST, NotRead, read_inside, read_own

SECRET = "hunter2.hunter2"
OUTSIDE = "it is not inside the folder that TE_FILES_DIR names"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that a worker's environment names, in a run that it has started."""
    folder = tmp_path / "lists"
    folder.mkdir()
    (tmp_path / ".env").write_text(f"TE_TOKEN={SECRET}\n")
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "7d0c6c5a-2b1c-4e0e-9f5b-3c5a6d7e8f90")
    monkeypatch.setenv("TE_FILES_DIR", str(folder))
    return folder


def refusal(path: str) -> str:
    """Return what a run says of a file, alike for a list of IDs and for definitions."""
    with pytest.raises(SettingsError) as of_ids:
        read_ids(path, named_reader())
    with pytest.raises(InvalidDefinitions) as of_definitions:
        read_definitions(Path(path), named_reader())
    told = str(of_ids.value).partition(" can't be read: ")[2].partition(". ")[0]
    assert told
    assert f"can't be read: {told}" in str(of_definitions.value)
    return told


@pytest.mark.parametrize(
    "path",
    ["../.env", "/etc/passwd", "/etc/nothing-of-the-kind", "/dev/zero", "/proc/self/environ"],
)
def test_a_file_outside_the_folder_is_refused_whether_it_is_there_or_not(
    folder: Path, path: str
) -> None:
    assert refusal(path).startswith(OUTSIDE)
    assert refusal(str(folder / path)).startswith(OUTSIDE)
    assert refusal(".") == refusal(str(folder)) == "Is a directory"


def test_what_is_refused_is_not_left_open(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    files = Path("/proc/self/fd")
    before = len([*files.iterdir()])
    for path in (".", "pipe", "nothing", "../.env"):
        refusal(path)
    for own in (folder, folder / "pipe", Path("/dev/zero")):
        with pytest.raises(NotRead):
            read_own(own)
    assert len([*files.iterdir()]) == before


def test_a_link_that_leads_out_of_the_folder_is_refused(folder: Path) -> None:
    (folder / "link").symlink_to(folder.parent / ".env")
    (folder / "further").symlink_to(folder.parent)
    assert refusal("link").startswith(OUTSIDE)
    assert refusal("further/.env").startswith(OUTSIDE)


def test_a_subfolder_that_becomes_a_link_while_a_file_is_opened_is_not_followed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, resolve = folder / "inner", os.path.realpath
    inner.mkdir()
    (inner / ".env").write_text("202701")

    def swapped(path: Path) -> str:
        real = resolve(path)
        if inner.is_dir() and Path(real).is_relative_to(inner):
            inner.rename(folder / "away")
            inner.symlink_to(folder.parent)
        return real

    monkeypatch.setattr(os.path, "realpath", swapped)
    with pytest.raises(NotRead):
        read_inside(folder, Path("inner/.env"))
    assert inner.is_symlink()


def test_so_is_a_hard_link_since_nobody_can_see_where_it_leads(folder: Path) -> None:
    (folder / "link").hardlink_to(folder.parent / ".env")
    assert refusal("link") == "it is a hard link: the same file may lie outside the folder"


def test_a_file_in_the_folder_is_read(folder: Path) -> None:
    (folder / "monday.txt").write_text("202701\n202702\n")
    (folder / "link").symlink_to("monday.txt")
    (folder / "inner" / "most").mkdir(parents=True)
    (folder / "inner" / "most" / "monday.txt").write_text("202701\n202702\n")
    (folder / "short").symlink_to("inner/most")
    named = ("monday.txt", "link", "inner/most/monday.txt", "short/monday.txt")
    for path in (*named, str(folder / "monday.txt")):
        assert read_ids(path, named_reader()) == ["202701", "202702"]


def test_without_a_folder_a_deployment_reads_no_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "monday.txt").write_text("202701")
    monkeypatch.delenv("TE_FILES_DIR")
    assert refusal(str(folder / "monday.txt")) == "TE_FILES_DIR is not set"


def test_a_folder_that_would_be_another_in_each_run_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("TE_FILES_DIR", folder.name)
    with pytest.raises(SettingsError, match=r"^TE_FILES_DIR: must be an absolute path"):
        named_reader()


def test_without_a_deployment_the_files_are_the_persons_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT__FLOW_RUN_ID")
    (folder.parent / "monday.txt").write_text("202701")
    assert read_ids(str(folder.parent / "monday.txt"), named_reader()) == ["202701"]


def pipe(at: Path) -> None:
    os.mkfifo(at)


def endless(at: Path) -> None:
    at.symlink_to("/dev/zero")


def huge(at: Path) -> None:
    with at.open("wb") as file:
        file.truncate(LARGEST * 1_000)


@pytest.mark.parametrize(
    ("make", "reason"),
    [(pipe, "not a regular file"), (endless, "not a regular file"), (huge, "it holds more than")],
)
def test_what_halts_or_fills_a_process_is_refused_on_the_command_line_too(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    file = tmp_path / "odd"
    make(file)
    with pytest.raises(SettingsError, match=reason):
        read_ids(str(file))
    with pytest.raises(InvalidDefinitions, match=reason):
        read_definitions(file)


@pytest.mark.parametrize(
    "text",
    [
        f"TE_TOKEN={SECRET}",
        f"TE_TOKEN: {SECRET}",
        f"- {SECRET}: x",
        f"- {{type: agent-to-server, test_name: x, server: y, {SECRET}: z}}",
        f"- {{type: {SECRET}}}",
        f"- {{type: agent-to-server, test_name: [{SECRET}], server: y}}",
        f"a: *{SECRET}",
        f"a: !{SECRET} x",
        f"!!int {SECRET}",
        f"!!float {SECRET}",
        f"!!bool {SECRET}",
        f"!!timestamp {SECRET}",
        f"%TAG !{SECRET} x",
        f"[{SECRET}",
        f"'{SECRET}",
        "[" * 5_000 + SECRET,
        f"{SECRET}\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    ],
)
def test_no_error_tells_what_a_file_holds(tmp_path: Path, text: str) -> None:
    file = tmp_path / "secrets"
    file.write_text(text, "utf-8")
    with pytest.raises(InvalidTestIds) as of_ids:
        read_ids(str(file))
    with pytest.raises(InvalidDefinitions) as of_definitions:
        read_definitions(file)
    for error in (of_ids, of_definitions):
        assert str(file) in str(error.value)
        assert SECRET not in str(error.value)
