"""Stored objects and jobs side by side: an object of no job goes, a job whose object is gone is marked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING
from uuid import UUID

from docproc.postgres.objects import Objects
from docproc.postgres.sweeping import Rows
from docproc.storage import SCHEME, Storage, Stored, key, pages_uri, parsed_uri

if TYPE_CHECKING:
    from docproc.postgres.versions import Deleted

YOUNG = 3600.0
"""Seconds for which an object without a job, or half written, is left alone: an ingest may be about to make the job."""

PAGE = 1_000
"""Objects asked about in one round trip."""


def sweep_objects(objects: Objects, storage: Storage, *, user: str | None, dry_run: bool) -> tuple[Rows, int]:
    """Removes old objects of no job; how many with their bytes, and how many jobs lack an object that they need."""
    removed, lost = Rows(), objects.failed_for_lack()
    for n, needed in enumerate(objects.needed(YOUNG)):
        # Loaded before the listing: what these jobs need was written before, so it is in the listing or it is gone.
        missing = {name: job for job, uri in needed.items() for name in keys_of(uri)}
        for prefix in ("raw/", "parsed/"):
            for page in _pages(storage.objects(prefix if user is None else f"{prefix}{user}/")):
                for found in page:
                    missing.pop(found.key, None)
                if n == 0:
                    removed += _remove(objects, storage, page, dry_run=dry_run)
        lost |= {job for name, job in missing.items() if not storage.exists(name)}
    if not dry_run:
        objects.mark_lost(list(lost))
    return removed, len(lost)


def delete_bytes(objects: Objects, storage: Storage, deleted: Deleted) -> None:
    """Removes the objects of what was ``deleted`` that no job names; young ones are left for a later cleanup.

    A document that came in again meanwhile, and whose bytes this has taken after all, is marked as lacking them.
    """
    uris: set[str] = set()
    for row in deleted.rows:
        if row["document_id"] in deleted.gone:
            uris |= {row["raw_path"], parsed_uri(row["user_id"], row["document_id"])}
        if row["parsed_path"]:
            uris.add(row["parsed_path"])
    stored = [Stored(name, 0, storage.age(name)) for uri in sorted(uris) for name in keys_of(uri)]
    for page in _pages(stored):
        _remove(objects, storage, page, dry_run=False)
    _mark_lost(objects, storage, deleted.documents)


def delete_now(objects: Objects, storage: Storage, stored: Sequence[Stored], documents: Sequence[UUID]) -> None:
    """Removes ``stored``, of ``documents`` that have no job, however young; what a job names by now is left."""
    named = objects.named([_uri(found.key) for found in stored], [document_of(found.key) for found in stored])
    for found in stored:
        if _uri(found.key) not in named:
            storage.delete(found.key)
    _mark_lost(objects, storage, documents)


def document_of(name: str) -> UUID | None:
    """The document's id in the key ``name``; None where there is none."""
    try:
        return UUID(name.rpartition("/")[2].partition(".")[0])
    except ValueError:
        return None


def _remove(objects: Objects, storage: Storage, page: Sequence[Stored], *, dry_run: bool) -> Rows:
    old = [found for found in page if found.age > YOUNG]
    if not old:
        return Rows()
    # Asked before the jobs are: who was validated until then has written down what it names.
    validating = objects.validating()
    named = objects.named([_uri(found.key) for found in old], [document_of(found.key) for found in old])
    total = Rows()
    for found in old:
        waits = found.key.startswith("parsed/") and found.key.split("/")[1] in validating
        # Aged once more: the same bytes may have come in again since, with their job still to be made.
        if _uri(found.key) not in named and not waits and storage.age(found.key) > YOUNG:
            total += Rows(1, found.size)
            if not dry_run:
                storage.delete(found.key)
    return total


def _mark_lost(objects: Objects, storage: Storage, documents: Sequence[UUID]) -> None:
    """Marks those of ``documents`` that came in again, and whose bytes have been taken from them after all."""
    for needed in objects.needed(0.0, documents):
        objects.mark_lost([job for job, uri in needed.items() if _lacks(storage, uri)])


def _lacks(storage: Storage, uri: str) -> bool:
    return any(not storage.exists(name) for name in keys_of(uri))


def keys_of(uri: str) -> tuple[str, ...]:
    """The keys of what is under ``uri``: a parse is two objects."""
    return (key(uri), key(pages_uri(uri))) if uri.startswith(f"{SCHEME}parsed/") else (key(uri),)


def _uri(name: str) -> str:
    """The address by which jobs name the object ``name``: that of its parse, for the pages beside it."""
    if name.startswith("parsed/") and name.endswith(".json"):
        name = f"{name.removesuffix('.json')}.md"
    return f"{SCHEME}{name}"


def _pages(objects: Iterable[Stored]) -> Iterator[list[Stored]]:
    rest = iter(objects)
    while page := list(islice(rest, PAGE)):
        yield page
