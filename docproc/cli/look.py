"""The commands that only look: status and search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from docproc.cli.funnel import LOOK, app
from docproc.cli.options import Config, Json, MaxDuration, MetricsFile, Profile, Quiet, User, opened


@app.command(rich_help_panel=LOOK)
def status(
    document: Annotated[str | None, typer.Argument(help="A path, a file name, an id, or the beginning of one.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="List the failed documents, each with what to try.")] = False,
    state: Annotated[list[str] | None, typer.Option("--state", help="List those in this state.")] = None,
    code: Annotated[str | None, typer.Option("--code", help="List those with this error code.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="Only of the last 90s, 45m, 2h, 30d.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="List those whose path contains this.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Documents in a list, at most.")] = 1000,
    spent: Annotated[
        str | None, typer.Option("--spent", metavar="day|model|source|document|call", help="What was paid, summed so.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="With --spent: as CSV.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option("--interval", min=0.1, help="Seconds between two looks.")] = 2.0,
    until: Annotated[str | None, typer.Option("--until", help="idle: end when nothing is open.")] = None,
    max_duration: MaxDuration = None,
    check: Annotated[bool, typer.Option("--check", help="Only say which alerts fire; exit 6 when one does.")] = False,
    metrics: MetricsFile = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page for a browser to this file.")] = None,
    profile: Profile = None,
    file: Config = None,
    user: User = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Where the work stands; a list of documents; or one document's timeline.

    Examples: docproc status     docproc status --failed     docproc status --state uploaded --since 2h
    docproc status --spent source --csv     docproc status --until idle --max-duration 1h
    docproc status reports/may.pdf
    """
    from docproc.cli import looking, outputs

    ledger = looking.Ledger.of(by=spent, since=since, csv=csv)
    listed_since = None if ledger else since
    filters = looking.Filters.of(failed=failed, states=state, code=code, since=listed_since, source=source, limit=limit)
    waiting = looking.Waiting.of(watch=watch, interval=interval, until=until, max_duration=max_duration)
    written = outputs.Outputs.of(check=check, metrics=metrics, html=html)
    looking.refuse_mixture(document=document, filters=filters, waiting=waiting, written=written, ledger=ledger)
    with opened(profile, file, user) as it:
        if document is not None:
            looking.show_one(it, document, json=json)
        elif ledger is not None:
            looking.show_spent(it, ledger, json=json)
        elif filters is not None:
            looking.show_list(it, filters, json=json)
        elif waiting is not None:
            looking.wait(it, waiting, json=json)
        elif written is not None:
            outputs.put_out(it, written, json=json, quiet=quiet)
        else:
            looking.show_all(it, json=json)


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
