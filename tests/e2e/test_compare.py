"""``docproc compare`` as its users run it: what it prints, where, in which form, and with which exit code."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import clone
from tests.support import FIXTURES, Docproc, Mocks

DOCUMENTS = FIXTURES / "documents"
SAMPLES = [str(DOCUMENTS / name) for name in ("night-ferry.txt", "tide-api.md", "beekeeping.pptx")]
PROFILES = """
[profile.large]
[profile.small.chunker]
name = "markdown-simple@1+max=200"
[profile.paid.parser]
service = "real"
tier = "agentic_plus"
"""
BOTH = ("--profile", "large", "--profile", "small")


@pytest.fixture
def desk(docproc: Docproc, server: str, migrated: str) -> Docproc:
    """docproc with two profiles that have a database each, one that pays, and a file of questions."""
    (docproc.folder / "docproc.toml").write_text(PROFILES)
    (docproc.folder / "asked.tsv").write_text(
        "who sleeps in corridor C\tnight-ferry.txt\nin which header is the key sent\ttide-api.md\n"
    )
    databases = {
        f"{name.upper()}_DATABASE_URL": clone(server, "template_docproc", f"e2e_compare_{name}")
        for name in ("large", "small")
    }
    return replace(docproc, environ={**docproc.environ, **databases})


def test_the_report_is_the_same_in_every_form(desk: Docproc) -> None:
    report = desk.folder / "report.md"
    said = desk.run(
        "compare", *SAMPLES, *BOTH, "--questions", "asked.tsv", "--runs", "2", "--markdown", str(report), "--json"
    )
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    assert (told["schema"], told["samples"]) == (1, 3)
    large, small = told["variants"]
    assert [(one["name"], one["complete"], len(one["runs"])) for one in (large, small)] == [
        ("large", 3, 2),
        ("small", 3, 2),
    ]
    assert small["chunks"] > large["chunks"] > 0
    assert {one["name"]: one["chunks"] for one in large["samples"]}.keys() == {Path(name).name for name in SAMPLES}
    assert large["recall_at_5"] == small["recall_at_5"] == 1.0
    text = report.read_text("utf-8")
    assert f"| chunks | {large['chunks']} | {small['chunks']} |" in text
    differences = told["differences"]["small"]
    assert f"small: {differences['equal']} of 3 documents equal" in text
    assert all(f"| {one['sample']} | {one['what']} |" in text for one in differences["told"] if one["what"] == "chunks")
    # One line a run, in turn, as it goes on.
    assert [line.partition(":")[0] for line in said.stderr.splitlines()] == ["large", "small"] * 2


def test_differences_fail_the_command_only_where_that_was_asked_for(desk: Docproc) -> None:
    said = desk.run("compare", *SAMPLES[:1], *BOTH, "--fail-on", "error")
    assert said.returncode == 6, said.stderr
    records = [line.split("\t") for line in said.stdout.splitlines()]
    assert ["equal", "small", "0", "1"] in records


def test_what_may_be_too_dear_is_not_begun(desk: Docproc, services: Mocks) -> None:
    before = services.bill()
    said = desk.run("compare", str(DOCUMENTS), "--profile", "large", "--profile", "paid", LLAMA_CLOUD_API_KEY="llx-any")
    assert said.returncode == 5
    assert "compare.too_dear" in said.stderr
    assert "paid $" in said.stderr
    assert said.stdout == ""
    assert services.bill() == before


def test_one_database_is_never_used_by_two(desk: Docproc) -> None:
    said = desk.run("compare", *SAMPLES, *BOTH, SMALL_DATABASE_URL=desk.environ["LARGE_DATABASE_URL"])
    assert said.returncode == 2
    assert "large and small name the same database" in said.stderr


def test_a_terminal_of_eighty_columns_shows_every_value_whole(desk: Docproc) -> None:
    shown = on_terminal(desk, "compare", *SAMPLES, *BOTH, "--questions", "asked.tsv")
    lines = [line.rstrip() for line in shown.splitlines()]
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)
    (chunks,) = [line.split() for line in lines if line.startswith("chunks ")]
    assert int(chunks[1]) < int(chunks[2])
    assert any(line.startswith("✗ night-ferry.txt  chunks ") for line in lines)


def on_terminal(docproc: Docproc, *words: str) -> str:
    """What a command shows on a terminal of 80 columns, without its colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "docproc", *words],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        cwd=docproc.folder,
        env={**docproc.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    shown = b""
    try:
        while part := _read(ours):
            shown += part
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""
