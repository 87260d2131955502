"""Checks of pgvector: present, new enough, whole."""

from __future__ import annotations

from docproc.checks import Check, Deployment, Finding, ok, problem
from docproc.checks.looking import look

BUGS = (
    ((0, 5, 0), "no HNSW index"),
    ((0, 7, 0), "no halfvec"),
    ((0, 8, 0), "no iterative scan: a filtered search may find too little"),
    ((0, 8, 2), "CVE-2026-3172"),
    ((0, 8, 4), "vacuum may corrupt an HNSW index"),
)
"""What is wrong before each version, from pgvector's changelog."""


def installed(it: Deployment) -> Finding:
    """Is pgvector in this database?"""
    (facts,) = look(it, "extension_facts")
    if facts["installed"] is not None:
        return ok(f"pgvector {facts['installed']}")
    if facts["available"] is None:
        return problem("pgvector is not on the server", "install pgvector on the server, then: docproc migrate")
    return problem("pgvector is not in this database")


def version(it: Deployment) -> Finding:
    """Is it a version without known damage?"""
    (facts,) = look(it, "extension_facts")
    have = _number(facts["installed"])
    wrong = [what for before, what in BUGS if have < before]
    if not wrong:
        return ok(f"pgvector {facts['installed']}")
    seen = f"pgvector {facts['installed']}: {'; '.join(wrong)}"
    if facts["available"] and _number(facts["available"]) >= BUGS[-1][0]:
        return problem(seen, "ALTER EXTENSION vector UPDATE;")
    return problem(seen)


def whole(it: Deployment) -> Finding:
    """Are its types, functions and operator classes there that docproc uses?"""
    missing = [row["part"] for row in look(it, "extension_parts")]
    return problem(f"missing {', '.join(missing)}") if missing else ok("nothing missing")


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


CHECKS = (
    Check(
        "extension.installed",
        "extension",
        "error",
        "the extension vector",
        "run: docproc migrate",
        installed,
        ("database.reachable",),
    ),
    Check(
        "extension.version",
        "extension",
        "warn",
        "pgvector 0.8.4 or later",
        "install pgvector 0.8.4 or later on the server, then: ALTER EXTENSION vector UPDATE",
        version,
        ("extension.installed",),
    ),
    Check(
        "extension.whole",
        "extension",
        "error",
        "vector, halfvec, cosine distance and HNSW",
        "install pgvector again on the server and restore the database from a backup",
        whole,
        ("extension.installed",),
    ),
)
