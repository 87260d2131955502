"""Where bytes are kept: raw documents and their parses, under keys made of ids, never of file names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

if TYPE_CHECKING:
    from docproc.settings import Settings

SCHEME = "storage://"


class Storage(Protocol):
    """A place for objects. Keys are ``raw/{user_id}/{document_id}{ext}`` and ``parsed/{user_id}/{document_id}.md``."""

    def write(self, key: str, data: bytes) -> None:
        """Stores ``data`` under ``key``, whole or not at all, replacing what was there."""

    def read(self, key: str) -> bytes:
        """The bytes under ``key``. Raises PermanentError ``storage.missing`` when there are none."""

    def exists(self, key: str) -> bool:
        """Whether there is an object under ``key``."""

    def delete(self, key: str) -> None:
        """Removes the object under ``key``; it is no error when there is none."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Every key that begins with ``prefix``."""

    def age(self, key: str) -> float:
        """Seconds since the object under ``key`` was written; 0 when there is none."""

    def check(self) -> str:
        """Says in a few words where this is. Raises DocprocError when it cannot be used."""


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
    from docproc.storage.local import LocalStorage

    return LocalStorage(settings.home / "storage")
