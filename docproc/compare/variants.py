"""The variants of a comparison: profiles, each with a database of its own, deployed or made for it."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from docproc import chunkers, config
from docproc.app import App
from docproc.errors import ConfigError
from docproc.settings import DEFAULT_PROFILE, Settings, StorageSettings

SCRATCH = "scratch"
"""Where a variant without a database of its own is run: an embedded one and a storage that are made for it."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A profile under the name that it has in the report; ``parser`` and ``embedder`` are ``mock`` or ``real``."""

    name: str
    settings: Settings
    where: str
    parser: str
    embedder: str


def variants(profiles: Sequence[str], *, file: Path | None = None) -> tuple[Variant, ...]:
    """The variants that ``profiles`` name; one that is named twice is run twice, each time for itself.

    Raises ConfigError for fewer than two, for two that name one database, and for whatever of a profile cannot work.
    """
    if len(profiles) < 2:
        raise ConfigError(
            "config.invalid", "nothing to compare with", try_="docproc compare FOLDER --profile ONE --profile OTHER"
        )
    seen: Counter[str] = Counter()
    chosen: list[Variant] = []
    for profile in profiles:
        seen[profile] += 1
        name = profile if seen[profile] == 1 else f"{profile} ({seen[profile]})"
        chosen.append(_variant(name, config.load(config=file, profile=profile, alongside=True)))
    _refuse_shared(chosen)
    return tuple(chosen)


@contextmanager
def opened(variant: Variant) -> Iterator[Settings]:
    """The settings to run ``variant`` with; what is made for a scratch variant is removed at the end."""
    if variant.where != SCRATCH:
        yield variant.settings
        return
    settings = variant.settings
    with tempfile.TemporaryDirectory(prefix="docproc-") as home:
        yield replace(
            settings,
            profile=DEFAULT_PROFILE,  # the one that has an embedded database
            home=Path(home),
            storage=StorageSettings(),
            secrets=replace(settings.secrets, database_url=None),
        )


def _variant(name: str, settings: Settings) -> Variant:
    chunkers.get(settings.chunker.name)
    app = App(settings)
    # A mock of docproc's own need not be started to be asked.
    parser = "mock" if settings.parser.service == "mock" else app.parser_service.kind
    embedder = "mock" if settings.embedder.service == "mock" else app.embedder_service.kind
    return Variant(name, settings, _where(settings), parser, embedder)


def _where(settings: Settings) -> str:
    from docproc.postgres.places import place

    conninfo = settings.secrets.database_url
    return SCRATCH if conninfo is None else place(conninfo)


def _refuse_shared(chosen: Sequence[Variant]) -> None:
    users: dict[str, str] = {}
    for variant in chosen:
        if variant.where != SCRATCH and variant.where in users:
            raise ConfigError(
                "config.invalid",
                f"{users[variant.where]} and {variant.name} name the same database, {variant.where}",
                why="what one of them stores, the other would find",
                try_="set <PROFILE>_DATABASE_URL for each, or no DATABASE_URL: then each gets one that is made for it",
            )
        users[variant.where] = variant.name
