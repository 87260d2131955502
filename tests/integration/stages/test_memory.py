"""Documents larger than the memory they may take: read, kept, handed in and judged by blocks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import local
from tests.e2e.tables import Tables
from tests.integration.bench import pdf
from tests.support import Docproc, Mocks

MEASURED = """
import atexit, re, sys
from pathlib import Path

def tell():
    print("peak", re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1], file=sys.stderr)

atexit.register(tell)
from docproc.cli import main
main()
"""

BASE = 100_000_000
"""Bytes that docproc takes with its libraries, whatever the document, with room; the text alone would take more."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")


@pytest.fixture
def docproc(conninfo: str, services: Mocks, tmp_path: Path) -> Docproc:
    return local(tmp_path / "desk", conninfo, services.address)


def peak(docproc: Docproc, *words: str) -> int:
    """Runs a command to its end; the most memory that it held, in bytes."""
    command = [sys.executable, "-c", MEASURED, *words]
    said = subprocess.run(
        command, cwd=docproc.folder, env=dict(docproc.environ), capture_output=True, text=True, timeout=120, check=False
    )
    assert said.returncode == 0, said.stderr
    found = re.search(r"peak (\d+)", said.stderr)
    assert found is not None
    return int(found[1]) * 1024


def test_a_long_text_with_one_emoji_never_stands_in_memory(docproc: Docproc, conninfo: str, tmp_path: Path) -> None:
    paper = tmp_path / "long.txt"
    with paper.open("w", encoding="utf-8") as file:
        file.write("\U0001f600 the harbour ledger\n")
        for _ in range(2000):
            file.write("the harbour ledger lists boats by tide\n" * 1000)
    assert paper.stat().st_size > 75_000_000
    taken = [peak(docproc, "ingest", str(paper)), peak(docproc, "parse"), peak(docproc, "validate")]
    assert set(Tables(conninfo).states().values()) == {"parse_validated"}
    assert max(taken) < BASE, taken


def test_a_large_pdf_is_uploaded_by_blocks(docproc: Docproc, conninfo: str, tmp_path: Path) -> None:
    paper, data = tmp_path / "large.pdf", pdf("the harbour ledger")
    with paper.open("wb") as file:
        file.write(data[:9] + b"%")
        for _ in range(140):  # above what is counted
            file.write(bytes(range(14, 255)) * 4350)
        file.write(b"\n" + data[9:])
    assert paper.stat().st_size > 140_000_000
    taken = [peak(docproc, "ingest", str(paper)), peak(docproc, "parse", "--wait"), peak(docproc, "validate")]
    assert set(Tables(conninfo).states().values()) == {"parse_validated"}
    assert max(taken) < 140_000_000, taken
