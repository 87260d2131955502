"""cleanup: frees what the dead hold and removes what belongs to nothing; what is live or in flight is never touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from docproc.storage import SCHEME, Storage, key, pages_uri

if TYPE_CHECKING:
    from docproc.postgres.store import PostgresStore

YOUNG = 3600.0
"""Seconds for which an object without a job, or half written, is left alone: an ingest may be about to make the job."""


@dataclass(frozen=True, slots=True)
class Swept:
    """How much of one kind was, or would be, removed."""

    what: str
    count: int


def sweep(store: PostgresStore, storage: Storage, *, dry_run: bool) -> list[Swept]:
    """Frees expired leases, and removes chunks, vectors and stored objects of no document; counts each."""
    reads, sweeping = store.reads, store.sweeping
    expired = reads.expired_leases()
    orphans = {
        "vectors of no job": sweeping.orphaned_vectors(dry_run=dry_run),
        "chunks of no job": sweeping.orphaned_chunks(dry_run=dry_run),
    }
    if not dry_run:
        store.queue.rescue()
    swept = [Swept("expired leases", expired), *(Swept(what, count) for what, count in orphans.items())]
    return [
        *swept,
        Swept("trials of killed processes", _remove_trials(store, storage, dry_run=dry_run)),
        Swept("stored objects of no job", _sweep_objects(store, storage, dry_run=dry_run)),
        Swept("objects of killed processes", storage.sweep(YOUNG, dry_run=dry_run)),
    ]


def _remove_trials(store: PostgresStore, storage: Storage, *, dry_run: bool) -> int:
    left = store.trials.left_behind(YOUNG)
    if not dry_run:
        for user in left:
            store.trials.remove(user)
            storage.purge(user)
    return len(left)


def _sweep_objects(store: PostgresStore, storage: Storage, *, dry_run: bool) -> int:
    count = 0
    for prefix in ("raw/", "parsed/"):
        # Looked at before the jobs are: an object made in between belongs to a job that the look at the jobs shows.
        old = [found for found in storage.keys(prefix) if storage.age(found) > YOUNG]
        live = _live(store)
        for found in old:
            # Aged once more: the same bytes may have come in again since, with their job still to be made.
            if found not in live and storage.age(found) > YOUNG:
                count += 1
                if not dry_run:
                    storage.delete(found)
    return count


def _live(store: PostgresStore) -> set[str]:
    live: set[str] = set()
    for uri in store.reads.stored_uris():
        live.add(key(uri))
        if uri.startswith(f"{SCHEME}parsed/"):
            live.add(key(pages_uri(uri)))
    return live
