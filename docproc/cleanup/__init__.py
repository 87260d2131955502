"""cleanup: frees what the dead hold and removes what belongs to nothing; what is live or in flight is never touched."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from docproc.cleanup.objects import YOUNG, delete_bytes, sweep_objects
from docproc.errors import JobError
from docproc.postgres.objects import Objects
from docproc.postgres.sweeping import Rows, Sweeping
from docproc.postgres.versions import Versions
from docproc.settings import CleanupSettings
from docproc.storage import Storage

if TYPE_CHECKING:
    from docproc.parsers import Parser
    from docproc.postgres.store import PostgresStore

__all__ = ["YOUNG", "Swept", "sweep"]

log = logging.getLogger(__name__)

KEPT = CleanupSettings()


@dataclass(frozen=True, slots=True)
class Swept:
    """How much of one kind was, or would be, removed; ``bytes`` is None where nothing is stored by itself."""

    what: str
    count: int
    bytes: int | None = None


def sweep(
    store: PostgresStore,
    storage: Storage,
    *,
    dry_run: bool,
    grace: float = KEPT.grace,
    history: float = KEPT.history,
    user: str | None = None,
    parser: Parser | None = None,
) -> list[Swept]:
    """Removes what nothing needs, and counts each kind; with ``user`` only of that user, and nothing that is of all.

    ``grace`` and ``history`` are seconds for which withdrawn and superseded versions, and the history of what has
    ended, are kept. With ``parser`` the parses of deleted documents are deleted at the service, too.
    """
    sweeping, versions = Sweeping(store.database, user), Versions(store.database, user)
    objects = Objects(store.database, user)
    vectors = sweeping.orphaned_vectors(dry_run=dry_run)
    chunks = sweeping.orphaned_chunks(dry_run=dry_run)
    jobs, sources = _sweep_versions(versions, sweeping, objects, storage, parser, grace=grace, dry_run=dry_run)
    events = sweeping.old_events(history, dry_run=dry_run)
    swept = [
        Swept("superseded versions", jobs.count, jobs.bytes),
        Swept("withdrawn sources", sources),
        Swept("vectors of no job", vectors.count, vectors.bytes),
        Swept("chunks of no job", chunks.count, chunks.bytes),
        Swept("old changes of finished jobs", events.count),
    ]
    if user is None:
        swept += _sweep_shared(store, storage, sweeping, versions, parser, history=history, dry_run=dry_run)
    removed, lost = sweep_objects(objects, storage, user=user, dry_run=dry_run)
    swept += [
        Swept("stored objects of no job", removed.count, removed.bytes),
        Swept("jobs whose stored bytes are gone", lost),
    ]
    return swept


def _sweep_shared(
    store: PostgresStore,
    storage: Storage,
    sweeping: Sweeping,
    versions: Versions,
    parser: Parser | None,
    *,
    history: float,
    dry_run: bool,
) -> Iterator[Swept]:
    """What is no single user's."""
    yield Swept("expired leases", store.reads.expired_leases())
    if not dry_run:
        store.queue.rescue()
    yield Swept("old receipts of runs", sweeping.old_runs(history, dry_run=dry_run).count)
    yield Swept("parses of no document", _sweep_parses(versions, parser, dry_run=dry_run))
    yield Swept("claims of ended index builds", sweeping.old_builds(YOUNG, dry_run=dry_run).count)
    yield Swept("trials of killed processes", _sweep_trials(store, storage, dry_run=dry_run))
    yield Swept("objects of killed processes", storage.sweep(YOUNG, dry_run=dry_run))


def _sweep_versions(
    versions: Versions,
    sweeping: Sweeping,
    objects: Objects,
    storage: Storage,
    parser: Parser | None,
    *,
    grace: float,
    dry_run: bool,
) -> tuple[Rows, int]:
    """Marks what nothing shows any more, and deletes what has been marked for long enough: jobs, and sources."""
    if dry_run:
        return _expired(versions, grace)
    for page in versions.judged():
        versions.mark(page)
    total, sources = Rows(), 0
    for documents in versions.expired(grace):
        deleted = versions.delete(documents, grace)
        total += Rows(
            len(deleted.rows),
            sum({r["document_id"]: r["raw_bytes"] for r in deleted.rows if r["document_id"] in deleted.gone}.values()),
        )
        sources += deleted.sources
        sweeping.orphaned_vectors(dry_run=False, documents=deleted.documents)
        sweeping.orphaned_chunks(dry_run=False, documents=deleted.documents)
        delete_bytes(objects, storage, deleted)
        delete_parses(parser, deleted.external_ids)
    return total, sources


def _expired(versions: Versions, grace: float) -> tuple[Rows, int]:
    """What would be deleted."""
    total, sources = Rows(), 0
    for page in versions.judged():
        gone = []
        for document, of_document in groupby(page, key=lambda row: row["document_id"]):
            rows = list(of_document)
            going = [row for row in rows if row["since"] is not None and row["seconds"] >= grace]
            whole = len(going) == len(rows)
            total += Rows(len(going), rows[0]["raw_bytes"] if whole else 0)
            gone += [document] if whole else []
        sources += versions.withdrawn_sources(gone)
    return total, sources


def _sweep_parses(versions: Versions, parser: Parser | None, *, dry_run: bool) -> int:
    count = 0
    for documents in versions.abandoned_parse_calls(YOUNG):
        count += len(documents)
        if not dry_run:
            delete_parses(parser, versions.delete_parse_calls(documents))
    return count


def delete_parses(parser: Parser | None, external_ids: Iterable[str]) -> None:
    """Deletes parses at the service, where there is a ``parser``; one that will not go is told of in the log."""
    if parser is None:
        return
    for external_id in external_ids:
        try:
            parser.delete(external_id)
        except JobError as error:
            log.warning("a parse stays at the service", extra={"external_id": external_id, "code": error.code})


def _sweep_trials(store: PostgresStore, storage: Storage, *, dry_run: bool) -> int:
    left = store.trials.left_behind(YOUNG)
    if not dry_run:
        for user in left:
            store.trials.remove(user)
            storage.purge(user)
    return len(left)
