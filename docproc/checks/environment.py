"""Checks of the machine: Python, settings, tokenizer, storage."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from docproc.checks import Check, Finding, ok

if TYPE_CHECKING:
    from docproc.app import App


def python(_: App) -> Finding:
    """A Python that docproc is tested on."""
    version = ".".join(map(str, sys.version_info[:3]))
    return ok(version) if sys.version_info >= (3, 11) else Finding("error", version, "use Python 3.11 or later")


def configuration(app: App) -> Finding:
    """The settings make sense together."""
    from docproc import chunkers

    settings = app.settings
    chunkers.get(settings.chunker.name)
    if settings.runner.heartbeat * 3 > settings.runner.lease:
        return Finding("error", "the heartbeat is slower than a third of the lease", "lower [runner] heartbeat")
    slowest = max(settings.parser.timeout, settings.embedder.timeout)
    if slowest >= settings.runner.lease:
        return Finding("error", f"a call may take {slowest:.0f} s, longer than the lease", "raise [runner] lease")
    return ok(f"profile {settings.profile}, {len(settings.origins)} values set")


def tokenizer(_: App) -> Finding:
    """Exact counts without a network."""
    from docproc import tokens

    seen = tokens.count("docproc counts <|endoftext|> offline")
    return (
        ok("cl100k_base, offline")
        if seen == 10
        else Finding("error", f"counted {seen} for 10", "install docproc again")
    )


def storage(app: App) -> Finding:
    """The place for bytes exists or can be made, and lets us in."""
    return ok(app.storage.check())


CHECKS = (
    Check("environment.python", python),
    Check("environment.configuration", configuration),
    Check("environment.tokenizer", tokenizer),
    Check("environment.storage", storage),
)
