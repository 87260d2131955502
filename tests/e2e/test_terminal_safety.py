"""Hostile names and texts through every command that prints: nothing that could steer a terminal comes out anywhere."""

from __future__ import annotations

import json
import os
import pty
import struct
import subprocess
import sys
import termios
import unicodedata
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path

import pytest

from tests.e2e.documents import pdf
from tests.support import Docproc, Mocks

# A clipboard (OSC 52), a title, a move of the cursor, C1, an overwritten line, bidi, what has no width, line ends.
STEERS = (
    "\x1b]52;c;cG93bmVk\x07\x1b]0;owned\x1b\\\x1b[66;66H\x9b31m\x9d0;x\x9c\rover\b\x7f"
    "\u202eabc\u2066\u200b\ufeff\u2028\u2029\x85"
)
NAME = f"n{STEERS}\n\t[red]x[/]"
WORD = "marmalade"
TEXT = f"# Head{STEERS}ing\n\nThe {WORD} of{STEERS} the text.\n"

NEVER = ("\x1b]", "\x1b[66", "\x07", "\x08", "\x7f", "\x85", "\x9b", "\x9c", "\x9d", "\rover")
"""What docproc's own screens have no use for, and STEERS has."""


def steering(said: str, *, screen: bool = False) -> set[str]:
    """What in ``said`` steers a terminal; on a ``screen`` docproc's own colours and moves are allowed."""
    allowed = "\n\r\t\x1b" if screen else "\n\t"
    found = {c for c in said if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in allowed}
    return found | {each for each in NEVER if each in said}


@dataclass(frozen=True, slots=True)
class Hostile:
    """docproc with hostile documents."""

    docproc: Docproc
    folder: Path

    def look(self, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        """Runs a command into pipes and looks at both; what stood on standard output."""
        said = self.docproc.run(*words)
        assert said.returncode in codes, (words, said.stdout, said.stderr)
        assert "Traceback" not in said.stderr
        assert "program.unexpected" not in said.stderr
        assert (steering(said.stdout), steering(said.stderr)) == (set(), set()), words
        return said.stdout

    def watch(self, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        """Runs a command on a terminal and looks at it; what stood there."""
        code, said = on_terminal(self.docproc, *words)
        assert code in codes, (words, said)
        assert steering(said, screen=True) == set(), words
        return said


def on_terminal(docproc: Docproc, *words: str) -> tuple[int, str]:
    """Runs a command with a terminal for all its streams: the exit code, and what was written there."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
    command = [sys.executable, "-m", "docproc", *words]
    environ = {**docproc.environ, "TERM": "xterm-256color"}
    running = subprocess.Popen(command, cwd=docproc.folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:  # what Linux says at the end of a terminal
            break
        if not block:
            break
        said += block
    os.close(ours)
    return running.wait(timeout=60), said.decode("utf-8", "replace")


@pytest.fixture
def hostile(docproc: Docproc, tmp_path: Path) -> Hostile:
    """Documents in a folder with a hostile name: a good one, one whose parse fails, a broken and an empty one."""
    folder = tmp_path / f"folder{STEERS.replace('/', '')}"
    folder.mkdir()
    (folder / f"{NAME.replace('/', '')}.md").write_text(TEXT, "utf-8")
    (folder / f"b{NAME.replace('/', '')}.pdf").write_bytes(pdf(f"The {WORD} of {tmp_path.name}."))
    (folder / f"c{NAME.replace('/', '')}.pdf").write_bytes(b"no pdf")
    (folder / f"d{NAME.replace('/', '')}.txt").write_bytes(b"")
    return Hostile(docproc, folder)


def test_no_command_lets_a_name_or_a_text_steer_the_terminal(hostile: Hostile, services: Mocks, tmp_path: Path) -> None:
    services.set_faults(f"llamaparse.failed:message=broken {STEERS.replace(':', '').replace(',', '')} page")
    log, receipt, metrics, page = (tmp_path / name for name in ("log", "receipt", "metrics", "page.html"))
    written = ["--receipt", str(receipt), "--metrics-file", str(metrics)]
    hostile.look("-vv", "--log-file", str(log), "run-all", *written, str(hostile.folder), codes=(3,))
    hostile.watch("-vv", "run-all", str(hostile.folder), codes=(3,))
    told = hostile.look("search", WORD)
    assert "\\x1b]52" in told
    assert "\\u202eabc\\u2066\\u200b\\ufeff\\u2028\\u2029" in told
    assert WORD in hostile.watch("search", "--hybrid", WORD)
    assert "\\u001b]52" in hostile.look("search", WORD, "--json")
    assert "\\x1b]52" in hostile.watch("status", "--source", "folder")
    for words in (["status"], ["status", "--failed"], ["cleanup", "--dry-run"]):
        hostile.look(*words)
        hostile.watch(*words)
    hostile.look("status", "--failed", "--json")
    hostile.look("status", "--html", str(page))
    for file in (log, receipt, metrics, page):
        assert steering(file.read_text("utf-8")) == set(), file.name


def test_one_document_s_timeline_does_not_steer_the_terminal(hostile: Hostile) -> None:
    hostile.look("ingest", str(hostile.folder), codes=(0, 3))
    name = next(str(path) for path in hostile.folder.iterdir() if path.suffix == ".md")
    hostile.look("status", name)
    assert "\\x1b" in hostile.watch("status", name)
    assert "candidates" not in hostile.look("status", "[red]x[", codes=(0, 2))


def test_the_names_and_texts_would_steer_it() -> None:
    for text in (STEERS, NAME, TEXT):
        assert steering(text) >= {*NEVER, "\u202e", "\u2066", "\u200b", "\ufeff", "\u2028", "\u2029"}
        assert steering(text, screen=True) >= {*NEVER, "\u202e"}


def errors(folder: Path) -> dict[str, list[str]]:
    """Commands that are wrong, each with something hostile to repeat."""
    nowhere = str(folder / NAME.replace("/", ""))
    wrong = folder / "docproc.toml"
    wrong.write_text(f"[parser]\ntier = {json.dumps(STEERS).replace(chr(127), '')}\n", "utf-8")
    return {
        "a path": ["ingest", nowhere],
        "a profile": ["status", "--profile", NAME],
        "a document": ["status", NAME],
        "a state": ["status", "--state", NAME],
        "a duration": ["status", "--since", NAME],
        "a user": ["search", WORD, "--user", NAME],
        "no config": ["status", "--config", nowhere],
        "a config": ["status", "--config", str(wrong)],
        "a command": [NAME],
        "an option": [f"--{NAME}"],
        "a file": ["ingest", "--metrics-file", f"{nowhere}/no/such/folder", str(folder)],
    }


@pytest.mark.parametrize(
    "wrong",
    [
        "a path",
        "a profile",
        "a document",
        "a state",
        "a duration",
        "a user",
        "no config",
        "a config",
        "a command",
        "an option",
        "a file",
    ],
)
def test_no_error_repeats_what_steers_the_terminal(hostile: Hostile, tmp_path: Path, wrong: str) -> None:
    words = errors(tmp_path)[wrong]
    hostile.look(*words, codes=(0, 1, 2, 3, 4, 5))
    hostile.watch(*words, codes=(0, 1, 2, 3, 4, 5))
