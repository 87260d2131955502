"""Checks of the data: whose services made them, how they are served, what must hold at every moment."""

from __future__ import annotations

from docproc.checks import Check, Deployment, Finding, ok, problem, skip
from docproc.checks.looking import look
from docproc.model import dimensions
from docproc.postgres.indexes import Indexes
from docproc.states import FAILED


def kind(it: Deployment) -> Finding:
    """Were the documents made with the same kind of services, mock or real, that the settings name?"""
    rows = look(it, "providers")
    if not rows:
        return ok("no job yet")
    secrets = it.app.settings.secrets
    if it.offline and (secrets.llama_cloud_base_url or secrets.openai_base_url):
        return skip("an address of one's own must be asked whether it is a mock, and this is --offline")
    wanted, found = _kinds(it), (rows[0]["parser_kind"], rows[0]["embedder_kind"])
    if found == wanted:
        return ok(f"parser {found[0]}, embedder {found[1]}")
    return problem(f"parser and embedder were {' and '.join(found)}, the settings name {' and '.join(wanted)}")


def _kinds(it: Deployment) -> tuple[str, str]:
    if it.offline:
        return it.app.settings.parser.service, it.app.settings.embedder.service
    return it.parser_service().kind, it.embedder_service().kind


def served(it: Deployment) -> Finding:
    """Are the documents searched with the model and dimensions that the settings name?"""
    target = it.app.target
    others = []
    for row in look(it, "served_vectors"):
        model = (row["embed_model"], row["embed_version"])
        if row["dimensions"] not in (None, dimensions(row["embed_version"])):
            return problem(
                f"a vector of {row['dimensions']} dimensions is stored as {' '.join(model)}", "restore a backup"
            )
        if row["user_id"] == target.user and model != target.model:
            others.append(" ".join(model))
    if others:
        return problem(f"{others[0]}, the settings name {' '.join(target.model)}")
    return ok(" ".join(target.model))


def index(it: Deployment) -> Finding:
    """Are the vectors of the model in use indexed, or few enough to be compared one by one?"""
    settings, target = it.app.settings, it.app.target
    found = Indexes(it.app.database, settings.search).state(*target.model, settings.embedder.dimensions)
    told = {
        "whole": f"{found.kind}, {settings.embedder.dimensions} dimensions",
        "none": found.why,
        "absent": f"{found.kind}, built after a run once there are {settings.search.index_from:,} vectors",
    }
    return ok(told[found.state]) if found.state in told else problem(f"{found.kind}, being built or left unfinished")


def failed(it: Deployment) -> Finding:
    """Has no document failed?"""
    rows = look(it, "failures_by_code", {"failed": [str(state) for state in FAILED], "every": True, "only": None})
    if not rows:
        return ok("none failed")
    return problem("; ".join(f"{row['jobs']} with {row['code']}" for row in rows))


def invariants(it: Deployment) -> Finding:
    """Is no document lost, no chunk without its vector, no history with a gap, no failure without a remedy?"""
    settings = it.app.settings
    values = {"lease": settings.runner.lease, "max_submits": settings.parser.max_submits}
    broken = look(it, "invariants", values, seconds=_THOROUGH)
    if not broken:
        return ok("every invariant holds")
    return problem(
        "; ".join(f"{row['invariant']} {row['times']} × {row['what']}, as {row['example']}" for row in broken)
    )


_THOROUGH = 900.0
"""Seconds for a look at every row: some millions of chunks."""

_COLUMNS, _SERVED = ("schema.columns",), ("schema.functions", "schema.columns")
CHECKS = (
    Check(
        "data.kind",
        "data",
        "error",
        "the same kind for good",
        "use one database for mock and another for real services (DATABASE_URL)",
        kind,
        (*_COLUMNS, "parser.configured", "embedder.configured"),
    ),
    Check(
        "data.model",
        "data",
        "warn",
        "the settings' model",
        "docproc embed --rebuild",
        served,
        (*_COLUMNS, "extension.whole"),
    ),
    Check("data.index", "data", "warn", "an index that is whole", "docproc embed", index, _SERVED),
    Check("data.failed", "data", "warn", "no failed document", "docproc retry", failed, _COLUMNS),
)
THOROUGH = (
    Check(
        "data.invariants",
        "data",
        "error",
        "no row that breaks one",
        "docproc status DOCUMENT shows its history; please report it",
        invariants,
        _COLUMNS,
        seconds=_THOROUGH,
    ),
)
