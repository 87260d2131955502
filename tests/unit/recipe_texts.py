"""Words that the tests of recipes share: their files, and running their scripts with stand-ins for what they call."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from docproc.config import parse_duration
from docproc.errors import Exit
from docproc.init import RecipeName, recipes
from docproc.settings import Settings
from tests.support import ROOT

SCHEDULED = set(Exit) - {Exit.OK}
"""What a scheduler has to react to."""

LONGEST_STOP = max(Settings().parser.timeout, Settings().embedder.timeout) + 60
"""Seconds of an orderly stop: a call that is under way, and the wait for a database that went away."""


def text(path: Path) -> str:
    """The text of a file; a relative path begins at the checkout."""
    return (ROOT / path).read_text(encoding="utf-8")


def files_of(*names: RecipeName) -> list[Path]:
    """The files of recipes, each once."""
    chosen = [recipe for recipe in recipes() if recipe.name in names]
    return list(dict.fromkeys(file.source for recipe in chosen for file in recipe.files))


def stand_in(folder: Path, name: str, script: str) -> None:
    """Puts a command called ``name`` into ``folder``: a shell script."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def run_script(
    script: Path, *words: str, env: Mapping[str, str], shell: tuple[str, ...] = ("sh",)
) -> subprocess.CompletedProcess[str]:
    """Runs a script to its end."""
    line = [*shell, str(script), *words]
    return subprocess.run(line, env=dict(env), capture_output=True, text=True, timeout=30, check=False)


def max_duration(told: str) -> float:
    """The seconds of the --max-duration that stands in ``told``."""
    found = re.search(r'--max-duration"?,? "?(\w+)', told)
    assert found is not None
    return parse_duration(found[1])
