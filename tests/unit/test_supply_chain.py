"""Holds .ci/constraints.txt to pyproject.toml, and the sessions audit and licences to failing where they should."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import noxfile
from tests.support import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CONSTRAINTS = (ROOT / noxfile.CONSTRAINTS).read_text("utf-8")
EXTRAS = {name: needs for name, needs in PROJECT["optional-dependencies"].items() if name not in noxfile.ALONE}
WANTED = [need for needs in (PROJECT["dependencies"], *EXTRAS.values()) for need in needs]


def pinned() -> dict[str, list[str]]:
    """Every package's versions: of some there is one for each Python."""
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", CONSTRAINTS, re.M):
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


# ── constraints ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_constraints_hold_no_address() -> None:
    assert re.findall(r"://|@|--(?!hash=)|\bfile:|/", CONSTRAINTS) == []


def test_every_line_pins_a_version_or_gives_a_hash() -> None:
    pin = r"[\w.-]+==[\w.+!-]+( ; [^\\]+)? \\"
    shape = re.compile(rf"{pin}|    --hash=sha256:[0-9a-f]{{64}}( \\)?")
    assert [line for line in CONSTRAINTS.splitlines() if not shape.fullmatch(line)] == []
    assert "--hash" not in CONSTRAINTS.splitlines()[0]
    assert re.search(r"==\S+[^\n]*\n(?!    --hash)", CONSTRAINTS) is None


@pytest.mark.parametrize("need", sorted(set(WANTED)))
def test_every_dependency_of_the_project_is_pinned_to_a_version_that_it_allows(need: str) -> None:
    wanted = Requirement(need)
    if wanted.name == PROJECT["name"]:
        assert wanted.extras <= set(EXTRAS)
        return
    versions = pinned().get(canonicalize_name(wanted.name), [])
    assert versions, f"run nox -s constraints: {need} is not in {noxfile.CONSTRAINTS}"
    assert [version for version in versions if Version(version) not in wanted.specifier] == []


# ── audit and licences ──────────────────────────────────────────────────────────────────────────────────────────────

KNOWN = {"name": "known", "version": "1.0", "vulns": []}
SKIPPED = {"name": "skipped", "skip_reason": "not found"}
BROKEN = {"name": "broken", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        ([KNOWN], []),
        ([KNOWN, BROKEN], ["broken 1.0: PYSEC-1, fixed in 1.1"]),
        ([KNOWN, SKIPPED], ["not audited: skipped"]),
        ([SKIPPED, SKIPPED], ["the advisory service knows none of the packages: NOTHING was audited"]),
        ([], ["the advisory service knows none of the packages: NOTHING was audited"]),
    ],
)
def test_an_audit_that_asked_nobody_does_not_pass(found: list[dict[str, Any]], wrong: list[str]) -> None:
    assert noxfile._vulnerable(found) == wrong


@pytest.mark.parametrize(
    ("name", "licence", "allowed"),
    [
        ("a", "MIT", True),
        ("a", "MIT License\n\nCopyright (c) somebody", True),
        ("a", "Apache Software License; BSD License", True),
        ("a", "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0", True),
        ("a", "(Apache-2.0 OR GPL-3.0-only)", True),
        ("psycopg", "LGPL-3.0-only", True),
        ("a", "LGPL-3.0-only", False),
        ("psycopg", "AGPL-3.0-only", False),
        ("a", "MIT AND GPL-3.0-only", False),
        ("a", "BSD License; GNU General Public License v3 (GPLv3)", False),
        ("a", "MITRE", False),
        ("a", "UNKNOWN", False),
        ("a", "", False),
    ],
)
def test_a_licence_is_allowed_where_all_that_it_asks_is(name: str, licence: str, allowed: bool) -> None:
    assert (noxfile._refused([{"Name": name, "License": licence}]) == []) is allowed
