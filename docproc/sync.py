"""sync: withdraws the sources of files that are gone from a folder, with a guard against a folder that is not there."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Self

from docproc.errors import ConfigError, GuardError
from docproc.postgres.withdrawing import PAGE, Withdrawing
from docproc.stages.finding import Scan

if TYPE_CHECKING:
    from docproc.postgres.store import PostgresStore

log = logging.getLogger(__name__)

NAMED = 3
"""Files that the guard names."""


@dataclass(frozen=True, slots=True)
class MaxWithdraw:
    """How much may be withdrawn: a ``share`` of the live sources under each folder, or ``files`` in all."""

    share: float = 0.1
    files: int | None = None

    @classmethod
    def told(cls, text: str) -> Self:
        """What ``10%`` or ``250`` means. Raises ConfigError for anything else."""
        found = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)%|(\d{1,12})", text.strip())
        if found is None or float(found[1] or 0) > 100:
            what = f"--max-withdraw {text!r} is neither a share nor a number of files"
            raise ConfigError("config.usage", what, try_="a share such as 10%, or a number of files such as 250")
        return cls(files=int(found[2])) if found[2] else cls(share=float(found[1]) / 100)


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What a sync did: sources ``withdrawn`` of those ``live`` under the folders; none unless it was ``complete``."""

    withdrawn: int = 0
    live: int = 0
    complete: bool = True


def sync(store: PostgresStore, user: str, scan: Scan, seen: Set[str], *, limit: MaxWithdraw) -> Withdrawn:
    """Withdraws the live sources of ``user`` under the folders of ``scan`` whose files are gone, or ignored by now.

    ``seen`` are the absolute paths that the scan has found. A file that is there and was not seen is left alone: it
    came while the scan went. After an incomplete scan nothing is withdrawn. Raises GuardError
    ``ingest.withdraw_guard`` when more would go than ``limit`` allows; then nothing is withdrawn either.
    """
    if not scan.complete or not scan.roots:
        log.warning("nothing was withdrawn", extra={"code": "ingest.incomplete_scan"})
        return Withdrawn(complete=False)
    withdrawing = Withdrawing(store.database, user)
    asked_at = withdrawing.now()
    gone: dict[str, None] = {}
    live = 0
    for root in _outermost(scan.roots):
        under, missing = 0, []
        for uri in withdrawing.live_under(os.fspath(root)):
            under += 1
            if uri not in seen and _is_gone(uri, scan):
                missing.append(uri)
        _guard(os.fspath(root), missing, under, limit, so_far=len(gone))
        gone |= dict.fromkeys(missing)
        live += under
    count = 0
    for some in _pages(gone):
        # Looked at once more, right before: a file may have come back.
        count += withdrawing.withdraw([uri for uri in some if _is_gone(uri, scan)], asked_at=asked_at)
    if count:
        log.info("withdrawn", extra={"sources": count})
    return Withdrawn(count, live)


def _outermost(roots: Sequence[Path]) -> list[Path]:
    """The folders of which none is within another, each once."""
    once = dict.fromkeys(roots)
    return [root for root in once if not any(other != root and root.is_relative_to(other) for other in once)]


def _is_gone(uri: str, scan: Scan) -> bool:
    """Whether there is no file now, or one that the rules pass over. What cannot be looked at is not called gone."""
    try:
        os.lstat(uri)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return scan.ignored(uri)


def _guard(root: str, missing: Sequence[str], live: int, limit: MaxWithdraw, *, so_far: int) -> None:
    total = so_far + len(missing)
    # As integers of a millionth: 0.1 of 30 is 3 and not a little less.
    if limit.files is None:
        allowed, most = round(limit.share * 1_000_000) * live // 1_000_000, f"{limit.share * 100:g} %"
        refused = len(missing) > allowed
    else:
        refused, most = total > limit.files, f"{limit.files:,} files"
    if refused:
        raise GuardError(
            "ingest.withdraw_guard",
            f"{len(missing):,} of {live:,} sources under {root} are gone, allowed are {most}: none was withdrawn",
            why=f"such as {', '.join(missing[:NAMED])}",
            try_=f"see whether the folder is whole; if they are meant to be gone: --max-withdraw {total}",
        )


def _pages(uris: dict[str, None]) -> Iterator[list[str]]:
    rest = iter(uris)
    while some := list(islice(rest, PAGE)):
        yield some
