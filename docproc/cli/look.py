"""The commands that only look: status and search."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from docproc.cli.funnel import LOOK, app
from docproc.cli.options import Config, Json, Profile, User, opened
from docproc.errors import ConfigError


@app.command(rich_help_panel=LOOK)
def status(
    document: Annotated[str | None, typer.Argument(help="A path, a file name, an id, or the beginning of one.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="The failed documents, each with what to try.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows at most.")] = 1000,
    profile: Profile = None,
    file: Config = None,
    user: User = None,
    json: Json = False,
) -> None:
    """Where the work stands; or one document's timeline.

    Examples: docproc status     docproc status --failed     docproc status reports/may.pdf
    """
    from docproc.views import document as document_views
    from docproc.views import status as views

    with opened(profile, file, user) as it:
        reads = it.store.reads
        if failed:
            views.show_failed(reads.failed_jobs(limit), json=json)
        elif document is None:
            title = f"{it.settings.profile} · {it.database.address}"
            views.show_status(views.Snapshot.take(reads, title), json=json)
        else:
            jobs = reads.jobs_of(it.settings.user, document, os.path.abspath(document))  # noqa: PTH100
            if not jobs:
                raise ConfigError(
                    "config.invalid", f"no document {document}", try_="give its path, or the beginning of its id"
                )
            document_views.show_document([(job, reads.history(job["job_id"])) for job in jobs], json=json)


@app.command(rich_help_panel=LOOK)
def search(
    words: Annotated[str, typer.Argument(help="What to look for.")],
    limit: Annotated[int, typer.Option("-k", "--limit", min=1, max=1000, help="Results at most.")] = 5,
    source: Annotated[str | None, typer.Option("--source", help="Only sources whose path contains this.")] = None,
    hybrid: Annotated[bool, typer.Option("--hybrid", help='By the words too: "a phrase", -without.')] = False,
    profile: Profile = None,
    file: Config = None,
    user: User = None,
    json: Json = False,
) -> None:
    """Find the nearest passages in the documents that are complete.

    Examples: docproc search "when are the bearings greased"     docproc search --hybrid 'error E-203'
    """
    from docproc.search import search as look_for
    from docproc.views.search import show_hits

    with opened(profile, file, user) as it:
        show_hits(look_for(it, words, limit=limit, source=source, hybrid=hybrid), json=json)
