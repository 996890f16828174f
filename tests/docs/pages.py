"""The pages of the project, and the commands that they tell."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]

_WITH_ARGUMENTS = r"(\.venv/bin/\w+|curl|make \S+|python -m \S+|(?:pip|prefect) [\w-]+) .+"


@dataclass(frozen=True)
class Script:
    """What a page tells to type at once: a block, or a command within a sentence."""

    page: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        """Name it in the name of a test."""
        return f"{self.page}: {self.commands[0] if self.commands else self.lines[0]}"

    @property
    def commands(self) -> list[str]:
        """Its lines but for those that only set a variable, without comments."""
        bare = (re.sub(r" +# .*", "", line).strip() for line in self.lines)
        return [line for line in bare if not line.startswith("export ")]


def blocks(page: Path) -> list[str]:
    """Return the page's shell blocks, continued lines joined."""
    found = re.findall(r"^( *)```sh\n(.*?)^\1```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [re.sub(r"\\\n *", "", block) for _, block in found]


def in_sentences(page: Path) -> list[str]:
    """Return the commands with arguments that stand within the page's sentences."""
    text = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    spans = (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text))
    return [span for span in spans if re.fullmatch(_WITH_ARGUMENTS, span)]


def scripts() -> list[Script]:
    """Return all that the pages tell to type, each once, in their order."""
    found = []
    for page in PAGES:
        typed = [block.splitlines() for block in blocks(page)]
        typed += [[command] for command in in_sentences(page)]
        found += [Script(page.stem, tuple(lines)) for lines in typed]
    return list({one.lines: one for one in reversed(found)}.values())[::-1]


def clone(directory: Path) -> Path:
    """Copy the project's own files as they are now, committed or not."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (source := ROOT / name).exists():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, directory / name)
    return directory


def checkout(directory: Path) -> Path:
    """Return a copy of the project after `make setup`: its `.venv` is the tests' own."""
    clone(directory)
    (directory.parent / "home").mkdir()
    (directory / ".venv").mkdir()
    for each in Path(sys.prefix).iterdir():
        (directory / ".venv" / each.name).symlink_to(each)
    (directory / ".venv" / ".installed").unlink(missing_ok=True)  # the link
    (directory / ".venv" / ".installed").touch()  # newer than what it is made of
    return directory
