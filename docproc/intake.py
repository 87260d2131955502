"""What comes into a run: files are found and ingested, and what a folder no longer has is withdrawn."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from docproc.errors import ConfigError
from docproc.stages.finding import Refused, Scan, find
from docproc.stages.ingest import ingest
from docproc.sync import MaxWithdraw, Withdrawn, sync

if TYPE_CHECKING:
    from docproc.app import App
    from docproc.store import Ingested


@dataclass(frozen=True, slots=True)
class Intake:
    """What was named: ``paths`` and the paths in the files of ``lists``; with ``withdraw`` the folders are synced."""

    paths: Sequence[str] = ()
    lists: Sequence[Path] = ()
    withdraw: MaxWithdraw | None = None

    def refuse_nonsense(self) -> None:
        """Raises ConfigError when other things than folders are to be synced: only of these it is known what left."""
        if self.withdraw is None:
            return
        others = [name for name in self.paths if not Path(name).is_dir()]
        if others or self.lists or not self.paths:
            named = others[0] if others else "a list" if self.lists else "nothing"
            raise ConfigError("config.usage", f"--sync takes folders, and {named} is none", try_="--sync FOLDER")

    def find(self, scan: Scan) -> Iterator[Path | Refused]:
        """The files that are meant. Raises ConfigError for a list that cannot be read."""
        return find(self.paths, stdin=sys.stdin.buffer if "-" in self.paths else None, lists=self.lists, scan=scan)


def bring_in(
    app: App, intake: Intake, *, heard: Callable[[Ingested | Refused], None], stopped: Callable[[], bool]
) -> Withdrawn | None:
    """Ingests what ``intake`` names and tells ``heard`` of each file; then withdraws what is gone, if that is asked.

    Ends when ``stopped`` says so, and then withdraws nothing. Raises GuardError when too much would be withdrawn.
    """
    scan = Scan(ignore=app.settings.ingest.ignore)
    seen: set[str] = set()
    entries = ingest(
        intake.find(scan),
        target=app.target,
        catalogue=app.store.catalogue,
        storage=app.storage,
        settings=app.settings.ingest,
    )
    for entry in entries:
        if intake.withdraw is not None:
            seen.add(os.path.abspath(entry.path) if isinstance(entry, Refused) else entry.source.uri)  # noqa: PTH100
        heard(entry)
        if stopped():
            return None
    if intake.withdraw is None:
        return None
    return sync(app.store, app.settings.user, scan, seen, limit=intake.withdraw)
