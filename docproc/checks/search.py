"""Checks of the search: the index on the vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docproc.checks import Check, Finding, ok

if TYPE_CHECKING:
    from docproc.app import App


def index(app: App) -> Finding:
    """The vectors of the model in use are indexed, or few enough to be compared one by one."""
    from docproc.postgres.indexes import Indexes

    target, dimensions = app.target, app.settings.embedder.dimensions
    found = Indexes(app.database, app.settings.search).state(target.embed_model, target.embed_version, dimensions)
    match found.state:
        case "whole":
            return ok(f"{found.kind}, {dimensions} dimensions")
        case "none":
            level = "ok" if app.settings.search.index == "none" else "warn"
            return Finding(level, found.why, "ask the model for at most 4,000 [embedder] dimensions")
        case "unfinished":
            return Finding("warn", f"{found.kind}, being built or left unfinished", "docproc embed builds it anew")
    return ok(f"{found.kind}, built after a run once there are {app.settings.search.index_from:,} vectors")


CHECKS = (Check("search.index", index, ("database.schema",)),)
