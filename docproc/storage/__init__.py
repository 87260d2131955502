"""Where bytes are kept: raw documents and their parses, under keys made of ids, never of file names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol
from uuid import UUID

if TYPE_CHECKING:
    from docproc.errors import JobError
    from docproc.settings import Settings

SCHEME = "storage://"


BLOCK = 1 << 20
"""Bytes that are read or written at a time where a whole object may not be in memory."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One object of a listing: its size in bytes, and how many seconds ago it was written.

    ``age`` is by the storage's clock where it tells one; 0 when it tells no date.
    """

    key: str
    size: int
    age: float


class Draft(Protocol):
    """Bytes on their way in. They are no object before ``keep``; without it nothing stays of them."""

    def write(self, data: bytes) -> None:
        """Adds ``data`` at the end."""

    def keep(self, key: str) -> None:
        """Makes all that was written the object under ``key``, whole or not at all, replacing what was there."""


class Objects(Protocol):
    """What the stages ask of a storage. Keys are ``raw/{user_id}/{document_id}{ext}`` and ``parsed/…/….md``.

    ``write`` and ``read`` are for small objects; ``draft`` and ``open`` hold no more than a block in memory.
    """

    def write(self, key: str, data: bytes) -> None:
        """Stores ``data`` under ``key``, whole or not at all, replacing what was there."""

    def draft(self) -> AbstractContextManager[Draft]:
        """Takes an object in by blocks; its key may depend on what they were."""

    def read(self, key: str) -> bytes:
        """The bytes under ``key``. Raises PermanentError ``storage.missing`` when there are none."""

    def open(self, key: str) -> BinaryIO:
        """The object under ``key`` as a file of this machine, with a descriptor, at its beginning; the caller closes.

        Raises PermanentError ``storage.missing`` when there is none.
        """

    def exists(self, key: str) -> bool:
        """Whether there is an object under ``key``."""


class Storage(Objects, Protocol):
    """A place for objects, with all that ingest, cleanup and the checks ask of it."""

    def write_all(self, objects: Sequence[tuple[str, bytes]]) -> list[JobError | None]:
        """Writes small objects together, each as ``write`` does; in their order, what went wrong with each of them.

        Raises ValueError before anything is written when one of the keys is none, and ProgramError as ``write`` does.
        """

    def delete(self, key: str) -> None:
        """Removes the object under ``key``; it is no error when there is none."""

    def objects(self, prefix: str) -> Iterator[Stored]:
        """Every object whose key begins with ``prefix``, in order of keys within a folder; no request per object."""

    def purge(self, user: str) -> None:
        """Removes every object of ``user``, and every sign that there were some."""

    def age(self, key: str) -> float:
        """Seconds since the object under ``key`` was written; 0 when there is none."""

    def sweep(self, seconds: float, *, dry_run: bool) -> int:
        """Removes drafts that were last written to more than ``seconds`` ago, as the killed leave them; counts them."""

    def check(self) -> str:
        """Says in a few words where this is. Raises DocprocError when it cannot be used."""


def sha256_of(file: BinaryIO) -> str:
    """The SHA-256 in lower-case hex of what is left of ``file``, read by blocks."""
    digest = hashlib.sha256()
    while block := file.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


def raw_uri(user: str, document: UUID, extension: str) -> str:
    """Where a document's own bytes are kept; ``extension`` has its dot."""
    return f"{SCHEME}raw/{user}/{document}{extension}"


def parsed_uri(user: str, document: UUID) -> str:
    """Where a document's parse is kept as Markdown; its pages are beside it, see ``pages_uri``."""
    return f"{SCHEME}parsed/{user}/{document}.md"


def pages_uri(parsed: str) -> str:
    """The page data beside a parse: the pages as the parser returned them, in JSON."""
    return parsed.removesuffix(".md") + ".json"


def key(uri: str) -> str:
    """The key of a ``storage://`` address."""
    return uri.removeprefix(SCHEME)


def open_storage(settings: Settings) -> Storage:
    """The storage that the settings name. Raises ConfigError when it lacks an address or a key."""
    if settings.storage.backend == "supabase":
        from docproc.storage.supabase import SupabaseStorage

        return SupabaseStorage.from_settings(settings)
    if settings.storage.backend == "s3":
        from docproc.storage.s3 import S3Storage

        return S3Storage.from_settings(settings)
    from docproc.storage.local import LocalStorage

    return LocalStorage(settings.home / "storage")
