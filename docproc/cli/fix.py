"""The commands that mend: retry and cleanup."""

from __future__ import annotations

import difflib
from typing import Annotated

import typer

from docproc.cli.funnel import FIX, app
from docproc.cli.options import Config, Json, Profile, Quiet, User, complete_code, opened
from docproc.errors import ConfigError
from docproc.states import FAILED, State


def _complete_state(incomplete: str) -> list[str]:
    return [state for state in FAILED if state.startswith(incomplete)]


@app.command(rich_help_panel=FIX)
def retry(
    documents: Annotated[list[str] | None, typer.Argument(help="Ids, beginnings of ids, or paths; none: all.")] = None,
    code: Annotated[
        list[str] | None,
        typer.Option("--code", help="Only those that failed with this error code.", autocompletion=complete_code),
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", help="Only those in this failure state.", autocompletion=_complete_state),
    ] = None,
    resubmit: Annotated[bool, typer.Option("--resubmit", help="Also where the parse must be paid for again.")] = False,
    profile: Profile = None,
    file: Config = None,
    user: User = None,
    json: Json = False,
    quiet: Quiet = False,  # noqa: ARG001 - the funnel holds back what is said
) -> None:
    """Send failed documents back to where they failed, with fresh attempts; free unless --resubmit.

    Examples:
      docproc retry
      docproc retry --state failed_embedding
      docproc retry --code parse.timeout --resubmit
    """
    from docproc.retry import retry as send_back
    from docproc.views.terminal import messages, print_json

    states = [_failure_state(name) for name in state] if state else None
    with opened(profile, file, user) as it:
        done = send_back(it, documents or [], codes=code, states=states, priced=resubmit)
    if json:
        print_json({"sent": done.sent, "priced": done.priced})
        return
    typer.echo(f"sent back {done.sent}" + (f" · left {done.priced}: --resubmit pays again" if done.priced else ""))
    messages().print("next  docproc run-all" if done.sent else "nothing to run")


def _failure_state(name: str) -> State:
    if name not in FAILED:
        near = difflib.get_close_matches(name, FAILED, n=1)
        try_ = f"did you mean {near[0]}?" if near else f"one of {', '.join(FAILED)}"
        raise ConfigError("config.usage", f"{name} is no failure state", try_=try_)
    return State(name)


@app.command(rich_help_panel=FIX)
def cleanup(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and leave it.")] = False,
    profile: Profile = None,
    file: Config = None,
    json: Json = False,
    quiet: Quiet = False,  # noqa: ARG001 - the funnel holds back what is said
) -> None:
    """Free expired leases and remove what belongs to nothing: chunks, vectors and stored objects of no document.

    Examples:
      docproc cleanup --dry-run
      docproc cleanup --quiet
    """
    from docproc.cleanup import sweep
    from docproc.views.cleanup import show_swept

    with opened(profile, file) as it:
        show_swept(sweep(it.store, it.storage, dry_run=dry_run), dry_run=dry_run, json=json)
