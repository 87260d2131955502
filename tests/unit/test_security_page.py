"""Holds docs/security.md to the tests, roles and sessions that it names."""

from __future__ import annotations

import re

import pytest

import noxfile
from tests.support import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
CLAIMED = sorted(set(re.findall(r"`(test_\w+)`", PAGE)))


def test_the_page_names_its_proofs() -> None:
    assert len(CLAIMED) > 15


@pytest.mark.parametrize("name", CLAIMED)
def test_every_test_that_the_page_names_exists(name: str) -> None:
    files = (file for file in (ROOT / "tests").rglob("test_*.py") if "__pycache__" not in file.parts)
    assert any(f"def {name}(" in file.read_text("utf-8") for file in files)


def test_the_roles_are_those_of_the_script() -> None:
    script = (ROOT / "sql" / "roles.sql").read_text("utf-8")
    named = set(re.findall(r"^\| `(docproc_\w+)` \|", PAGE, re.M))
    assert named | {"docproc_definer"} == set(re.findall(r"'(docproc_\w+)'[,\]]", script))


def test_the_sessions_exist() -> None:
    assert {name for name in re.findall(r"nox -s (\w+)", PAGE) if not callable(getattr(noxfile, name, None))} == set()
