"""The commands that mend: retry and cleanup."""

from __future__ import annotations

from typing import Annotated

import typer

from docproc.cli.funnel import FIX, app
from docproc.cli.options import Config, Json, Profile, User, opened
from docproc.states import State


@app.command(rich_help_panel=FIX)
def retry(
    documents: Annotated[list[str] | None, typer.Argument(help="Ids, beginnings of ids, or paths; none: all.")] = None,
    code: Annotated[
        list[str] | None, typer.Option("--code", help="Only those that failed with this error code.")
    ] = None,
    state: Annotated[list[State] | None, typer.Option("--state", help="Only those in this failure state.")] = None,
    resubmit: Annotated[bool, typer.Option("--resubmit", help="Also where the parse must be paid for again.")] = False,
    profile: Profile = None,
    file: Config = None,
    user: User = None,
) -> None:
    """Send failed documents back to where they failed, with fresh attempts; free unless --resubmit.

    Examples: docproc retry     docproc retry --code parse.timeout --resubmit
    """
    from docproc.retry import retry as send_back

    with opened(profile, file, user) as it:
        done = send_back(it, documents or [], codes=code, states=state, priced=resubmit)
        typer.echo(f"sent back {done.sent}" + (f" · left {done.priced}: --resubmit pays again" if done.priced else ""))
        typer.echo("next  docproc run-all" if done.sent else "nothing to run", err=True)


@app.command(rich_help_panel=FIX)
def cleanup(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and leave it.")] = False,
    profile: Profile = None,
    file: Config = None,
    json: Json = False,
) -> None:
    """Free expired leases and remove what belongs to nothing: chunks, vectors and stored objects of no document."""
    from docproc.cleanup import sweep
    from docproc.views.cleanup import show_swept

    with opened(profile, file) as it:
        show_swept(sweep(it.store, it.storage, dry_run=dry_run), dry_run=dry_run, json=json)
