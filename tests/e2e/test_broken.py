"""Broken fixtures: each ends as expected.json says, with a remedy, and stops nothing else."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any

from tests.e2e.tables import Tables
from tests.support import FIXTURES, Docproc

EXPECTED: dict[str, Any] = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))["broken"]


def ending(outcome: str) -> dict[str, str | None]:
    """The code of each broken fixture that is expected to end so."""
    return {name: end["code"] for name, end in EXPECTED.items() if end["outcome"] == outcome}


def test_each_broken_file_ends_as_expected_and_the_rest_is_complete(docproc: Docproc, tables: Tables) -> None:
    said = docproc.run("run-all", str(FIXTURES / "broken"))
    assert said.returncode == 3
    assert "Traceback" not in said.stderr
    states, codes = tables.states(), tables.codes()
    assert {n for n, s in states.items() if s == "complete"} == set(ending("complete"))
    assert {n: codes[n] for n, s in states.items() if s == "failed_parse"} == ending("failed_parse")
    assert set(states) == set(EXPECTED) - set(ending("refused"))
    for name, code in ending("refused").items():
        assert name in said.stderr
        assert str(code) in said.stderr
    listed = json.loads(docproc.run("status", "--failed", "--json").stdout)
    assert listed["schema"] == 1
    assert {PurePath(row["source"]).name: row["code"] for row in listed["documents"]} == ending("failed_parse")
    assert all(row["remedy"] and row["what"] for row in listed["documents"])
