"""What README, changelog and docs name is there: commands, options, settings, files, anchors."""

import importlib
import io
import re
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from unittest import mock

import pytest
import yaml

from tasks.rows import values_of
from tests.docs.pages import PAGES, ROOT, blocks, in_sentences
from thousandeyes.record import Record
from thousandeyes.settings import ENV_FILE, FilesSettings, ThousandEyesSettings

MODULES = {
    "flows.rerun": "flows.rerun.command_line",
    "thousandeyes": "thousandeyes.__main__",
    "thousandeyes.simulator": "thousandeyes.simulator.__main__",
    "deployments.bootstrap": "deployments.bootstrap",
    "deployments.demo": "deployments.demo",
    "deployments.serve": "deployments.serve",
}
"""The commands, and where the `main` of each is."""
BENCHMARKS = "tests.benchmarks"
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@cache
def shown_by(module: str, *arguments: str) -> str:
    """Return what a command prints; in this process, since each takes long to start."""
    main = importlib.import_module(MODULES.get(module, f"{module}.__main__")).main
    with mock.patch("sys.argv", [module, *arguments]), redirect_stdout(io.StringIO()) as shown:
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 0
    return shown.getvalue()


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_the_readme_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text()
    linked = set(re.findall(r"\]\(docs/([\w-]+\.md)", text))
    assert linked == {page.name for page in (ROOT / "docs").glob("*.md")}


@each_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = page.read_text()
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    for link in links:
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_field_of_a_tests_artifact_is_explained_where_it_is_promised() -> None:
    text = (ROOT / "docs/what-stays-stable.md").read_text()
    table = text.partition("## Fields of a test\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    named = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted({*values_of(Record("")), "why"})


@each_page
def test_every_command_of_a_page_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    deployments = {
        f"{one['name']}"
        for one in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    }
    for line in "\n".join(blocks(page) + in_sentences(page)).splitlines():
        for target in re.findall(r"^ *make ([a-z-]+)", line):
            assert target in targets, line
        for module, rest in re.findall(r"python -m ([\w.]+)([^|]*)", line):
            assert module.removeprefix("prefect_thousandeyes.") in [*MODULES, BENCHMARKS], line
            listing = re.match(r" (tests|agents|account-groups)\b", rest)
            command = (module.removeprefix("prefect_thousandeyes."), *(listing or [""])[0].split())
            shown = shown_by(*command, "--help")
            names = r"|(?<= )[a-z][a-z-]+" if module == BENCHMARKS else ""
            for option in re.findall(r"--[a-z][a-z-]+" + names, rest):
                assert re.search(rf"{option}\b", shown), line
        for name in re.findall(r"deployment run [\w-]+/([\w-]+)", line):
            assert name in deployments, line


@each_page
def test_every_variable_of_a_page_is_there(page: Path) -> None:
    fields = [*ThousandEyesSettings.model_fields, *FilesSettings.model_fields]
    settings = {f"TE_{name}".upper() for name in fields} | {ENV_FILE}
    for name in re.findall(r"\bTE_[A-Z_]+[A-Z]", page.read_text()):
        assert name in settings, name


@pytest.mark.parametrize("module", MODULES)
def test_every_command_tells_its_version(module: str) -> None:
    assert shown_by(module, "--version") == "prefect-thousandeyes 0.1.0\n"
