"""The commands that mend: retry and cleanup."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated

import typer

from docproc.cli.funnel import FIX, app
from docproc.cli.options import Config, Json, Profile, Quiet, User, complete_code, opened
from docproc.errors import ConfigError
from docproc.states import FAILED, State

if TYPE_CHECKING:
    from docproc.app import App
    from docproc.cleanup import Swept
    from docproc.parsers import Parser


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
    document: Annotated[
        str | None, typer.Option("--document", help="Forget all of this document, by id or path, and nothing else.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Forget this path, and its document unless another path has it.")
    ] = None,
    grace: Annotated[
        str | None, typer.Option("--grace", help="How long what was replaced or withdrawn is kept: 30d, 12h, 0.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and leave it.")] = False,
    profile: Profile = None,
    file: Config = None,
    user: User = None,
    json: Json = False,
    quiet: Quiet = False,  # noqa: ARG001 - the funnel holds back what is said
) -> None:
    """Remove what nothing needs any more: old versions, withdrawn documents, orphans, old history, expired leases.

    Examples:
      docproc cleanup --dry-run
      docproc cleanup --grace 7d --quiet
      docproc cleanup --document reports/may.pdf
    """
    from docproc.cleanup.forgetting import forget
    from docproc.views.cleanup import show_forgotten, show_swept

    if sum(asked is not None for asked in (document, source, grace)) > 1:
        raise ConfigError("config.usage", "one of --document, --source and --grace at a time")
    with opened(profile, file, user) as it:
        if document is None and source is None:
            show_swept(_sweep(it, grace, dry_run=dry_run), dry_run=dry_run, json=json)
            return
        done = forget(it, str(document or source), source=source is not None, dry_run=dry_run)
    show_forgotten(done, json=json)
    if done.trouble is not None:
        raise done.trouble


def _sweep(it: App, grace: str | None, *, dry_run: bool) -> list[Swept]:
    from docproc.cleanup import sweep
    from docproc.config import parse_duration

    kept = it.settings.cleanup
    return sweep(
        it.store,
        it.storage,
        dry_run=dry_run,
        grace=kept.grace if grace is None else parse_duration(grace),
        history=kept.history,
        user=it.only,
        parser=_parser(it),
    )


def _parser(it: App) -> Parser | None:
    """The paid parser, to have it forget too; None without its key, and where it is a mock that forgets by itself."""
    if it.settings.parser.service == "mock":
        return None
    return it.parser if it.settings.secrets.llama_cloud_api_key else None
