"""Lints the migrations and the queries with squawk: what blocks a table for long, or does not parse."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent

ALWAYS = (
    "require-lock-timeout",  # docproc migrate sets both limits for the whole transaction
    "require-statement-timeout",
    "prefer-bigint-over-int",  # pages, tokens, characters and attempts of one document
)
"""Rules that are asked of no file."""

BACK = ("ban-drop-column", "ban-drop-function", "ban-drop-table", "ban-drop-view", "require-concurrent-index-deletion")
"""What a way back is made of: ``docproc migrate`` refuses one that loses rows."""

APPLIED: Mapping[str, tuple[str, ...]] = {
    # Applied in the field, so never edited. The column of words writes every chunk anew, and its index is built in the
    # same transaction: the table holds still meanwhile, which was bearable before there were large ones.
    "0003_search.up.sql": ("adding-field-with-default", "require-concurrent-index-creation"),
    "drop_put_aside.sql": ("ban-drop-table",),  # where all other tables are gone
}
"""Rules that a file may break because it was released before they were asked for."""


def lint(paths: Iterable[Path]) -> int:
    """Lints each file by the rules that hold for it; how many files have faults. They are told on standard output."""
    return sum(_lint(path) for path in sorted(paths))


def sources(folder: Path) -> list[Path]:
    """The migrations of docproc, and copies in ``folder`` of its queries with a value for each parameter."""
    for path in (ROOT / "docproc" / "postgres" / "queries").glob("*.sql"):
        text = re.sub(r"%\(\w+\)s", "NULL", path.read_text("utf-8")).replace("%%", "%")
        (folder / path.name).write_text(text, "utf-8")
    for path in (ROOT / "sql").glob("*.concurrently.sql"):  # its statements are told apart by a line, not by semicolons
        (folder / path.name).write_text(path.read_text("utf-8").replace("-- next", ";"), "utf-8")
    whole = [path for path in (ROOT / "sql").glob("*.sql") if not path.name.endswith(".concurrently.sql")]
    return [*whole, *folder.glob("*.sql")]


def _lint(path: Path) -> bool:
    allowed = (*ALWAYS, *APPLIED.get(path.name, ()), *(BACK if path.name.endswith(".down.sql") else ()))
    # A second phase runs by itself, outside any transaction.
    where = "--no-assume-in-transaction" if path.name.endswith(".concurrently.sql") else "--assume-in-transaction"
    command = ["squawk", "--reporter=gcc", "--pg-version=15.0", where, f"--exclude={','.join(allowed)}", str(path)]
    return subprocess.run(command, check=False).returncode > 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        sys.exit(1 if lint(sources(Path(made))) else 0)
