"""retry: failed documents go back to where they failed; what would be paid for again only when that is asked for."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from docproc.errors import REMEDIES, ConfigError
from docproc.stages.validate import verdict
from docproc.states import FAILED, State
from docproc.store import Chosen, Retried

if TYPE_CHECKING:
    from docproc.app import App


def retry(
    app: App, documents: Sequence[str], *, codes: list[str] | None, states: list[State] | None, priced: bool
) -> Retried:
    """Sends back the failed jobs that ``documents``, ``codes`` and ``states`` choose; None and none choose all.

    Raises ConfigError for a code, a state or a document that there is not.
    """
    for code in codes or ():
        if code not in REMEDIES:
            near = difflib.get_close_matches(code, REMEDIES, n=1)
            try_ = f"did you mean {near[0]}?" if near else "docproc status shows the codes"
            raise ConfigError("config.invalid", f"there is no error code {code}", try_=try_)
    for state in states or ():
        if state not in FAILED:
            raise ConfigError("config.invalid", f"{state} is no failure state", try_=f"one of {', '.join(FAILED)}")
    ids = [found for name in documents for found in _ids(app, name)] if documents else None
    chosen = Chosen(codes, [str(state) for state in states] if states else None, ids)
    parser, submits = app.parser.settings_id, app.settings.parser.max_submits
    return app.store.queue.retry(chosen, parser=parser, max_submits=submits, priced=priced, barren=_barren(app))


def _barren(app: App) -> list[UUID]:
    """The jobs whose parse would be refused once more: by today's settings, and what was seen of its pages."""
    limits = app.settings.validate
    refused = app.store.parse_calls.refused_parses()
    return [row["job_id"] for row in refused if verdict(row["progress"], row["extension"], limits) is not None]


def _ids(app: App, name: str) -> list[UUID]:
    jobs = app.store.reads.jobs_of(app.settings.user, name, os.path.abspath(name))  # noqa: PTH100
    if not jobs:
        raise ConfigError("config.invalid", f"no document {name}", try_="give its path, or the beginning of its id")
    return [job["document_id"] for job in jobs]
