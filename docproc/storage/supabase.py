"""Storage in a bucket of Supabase Storage."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from docproc.errors import ConfigError, JobError, PermanentError, TransientError
from docproc.storage import Stored
from docproc.storage.supabase_api import Answer, SupabaseApi
from docproc.storage.uploading import WaitingDraft, checked, content_type, downloaded, upload_all, waiting_draft

if TYPE_CHECKING:
    from docproc.settings import Settings

PAGE = 1000
"""Entries asked for in one request of a listing; the server may give fewer."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One row of a listing; a folder has neither size nor date."""

    name: str
    is_folder: bool
    size: int
    age: float


class SupabaseStorage:
    """Objects in ``bucket``. Every method raises CredentialsError, QuotaError, ConfigError or TransientError too."""

    def __init__(self, api: SupabaseApi, bucket: str) -> None:
        self._api = api
        self._bucket = bucket
        self._bucket_path = quote(bucket, safe="")

    @classmethod
    def from_settings(cls, settings: Settings) -> SupabaseStorage:
        """The bucket that the settings name. Raises ConfigError when the address or the key is missing or malformed."""
        url, key = settings.secrets.supabase_url, settings.secrets.supabase_service_role_key
        if not url:
            raise _unset("SUPABASE_URL", "set SUPABASE_URL in the environment")
        if not key:
            raise _unset("SUPABASE_SERVICE_ROLE_KEY", "set SUPABASE_SERVICE_ROLE_KEY in the environment")
        if not settings.storage.bucket:
            raise _unset("[storage] bucket", "name the bucket in docproc.toml")
        return cls(SupabaseApi(url, key), settings.storage.bucket)

    def write(self, key: str, data: bytes) -> None:
        """Uploads ``data``, replacing what was there."""
        self.upload(key, data)

    def write_all(self, objects: Sequence[tuple[str, bytes]]) -> list[JobError | None]:
        """Uploads several at once; in their order, what went wrong with each."""
        return upload_all(self.upload, objects)

    def draft(self) -> AbstractContextManager[WaitingDraft]:
        """Takes an object in by blocks, on this machine's disk until it is whole."""
        return waiting_draft(self.upload)

    def upload(self, key: str, data: bytes | BinaryIO) -> None:
        """Uploads ``data``; the server shows the object only when it has all of it.

        Raises PermanentError ``storage.rejected`` when the bucket does not take it (size, type).
        """
        # no-cache: an object is replaced when its document is parsed again, and must not be read from a cache then.
        headers = {"x-upsert": "true", "Content-Type": content_type(key), "Cache-Control": "no-cache"}
        answer = self._api.ask("POST", self._path(key), data=data, headers=headers)
        if not answer.ok:
            self._believe_missing(key, answer)
            raise _rejected(key, answer)

    def read(self, key: str) -> bytes:
        """The bytes under ``key``, whole, and checked where the server names their MD5.

        Raises PermanentError ``storage.missing``, or ``storage.corrupt`` when they differ each time they are read.
        """
        return self._had(key, self._api.ask("GET", self._path(key))).body

    def open(self, key: str) -> BinaryIO:
        """The object under ``key``, downloaded by blocks into a file without a name. Raises as ``read`` does."""
        return downloaded(lambda file: self._fetch(key, file))

    def _fetch(self, key: str, into: BinaryIO) -> None:
        self._had(key, self._api.ask("GET", self._path(key), into=into))

    def _had(self, key: str, answer: Answer) -> Answer:
        if answer.damaged:
            why = "their MD5 is not the one that the server names"
            raise PermanentError("storage.corrupt", f"the bytes of {key} are not what was stored", why=why)
        if not answer.ok:
            self._believe_missing(key, answer)
            raise PermanentError("storage.missing", f"{key} is not in the storage")
        return answer

    def exists(self, key: str) -> bool:
        """Whether there is an object under ``key``."""
        return self._head(key) is not None

    def delete(self, key: str) -> None:
        """Removes the object under ``key``; it is no error when there is none."""
        answer = self._api.ask("DELETE", self._path(key))
        if not answer.ok:
            self._believe_missing(key, answer)

    def objects(self, prefix: str) -> Iterator[Stored]:
        """Every object whose key begins with ``prefix``, folder by folder in order, its age by the server's clock.

        A folder is read whole before its objects are given, so that deleting them does not shift the pages.
        """
        folder = prefix.rpartition("/")[0]
        for entry in self._entries(folder):
            key = f"{folder}/{entry.name}" if folder else entry.name
            if not key.startswith(prefix):
                continue
            if entry.is_folder:
                yield from self.objects(f"{key}/")
            else:
                yield Stored(key, entry.size, entry.age)

    def purge(self, user: str) -> None:
        """Removes every object of ``user``; folders are nothing by themselves here."""
        for prefix in (f"raw/{user}/", f"parsed/{user}/"):
            for found in list(self.objects(prefix)):
                self.delete(found.key)

    def age(self, key: str) -> float:
        """Seconds since the object was written, by the server's clock; 0 when there is none or no date is given."""
        headers = self._head(key) or {}
        written = _seconds(headers.get("Last-Modified"))
        return 0.0 if written is None else max(0.0, _now(headers) - written)

    def sweep(self, seconds: float, *, dry_run: bool) -> int:  # noqa: ARG002 - the protocol's
        """Nothing to remove: a draft is a file without a name, gone with its process."""
        return 0

    def check(self) -> str:
        """The bucket and its host, after asking for the bucket; says so when the bucket is open to everybody."""
        bucket = self._probe()
        where = f"bucket {self._bucket} at {self._api.host}"
        return f"{where}, which is PUBLIC: everybody can read it" if bucket.get("public") else where

    def _head(self, key: str) -> Mapping[str, str] | None:
        answer = self._api.ask("HEAD", self._path(key))
        if answer.ok:
            return answer.headers
        self._believe_missing(key, answer)
        return None

    def _entries(self, folder: str) -> list[_Entry]:
        """Everything directly in ``folder`` but dot files of the dashboard."""
        found: list[_Entry] = []
        seen = 0
        # Until a page is empty, not until one is short: the server may cap what it gives at once.
        while page := self._page(folder, offset=seen):
            seen += len(page)
            found += [entry for entry in page if entry.name and not entry.name.startswith(".")]
        return found

    def _page(self, folder: str, *, offset: int) -> list[_Entry]:
        wanted = {"prefix": folder, "limit": PAGE, "offset": offset, "sortBy": {"column": "name", "order": "asc"}}
        headers = {"Content-Type": "application/json"}
        path = f"object/list/{self._bucket_path}"
        answer = self._api.ask("POST", path, data=json.dumps(wanted).encode(), headers=headers)
        if answer.missing:
            self._probe()
        page = answer.json
        if not isinstance(page, list) or not all(isinstance(entry, dict) and "name" in entry for entry in page):
            raise TransientError("storage.unavailable", "the storage answered a listing with something else")
        now = _now(answer.headers)
        return [_entry(told, now) for told in page]

    def _believe_missing(self, key: str, answer: Answer) -> None:
        """Returns when ``answer`` says truly that there is no object under ``key``, else raises.

        A wrong key is told "Bucket not found" when it reads, a key without rights "Object not found"; only asking
        for the bucket itself shows the difference.
        """
        if not answer.missing:
            raise _rejected(key, answer)
        self._probe()
        if answer.code in ("NoSuchBucket", "Bucket not found"):
            why = f"it denies the bucket {self._bucket} and shows it when asked for it"
            raise TransientError("storage.unavailable", "the storage contradicts itself", why=why)

    def _probe(self) -> Mapping[str, Any]:
        """The server's description of the bucket. Raises CredentialsError, or ConfigError when there is none."""
        answer = self._api.ask("GET", f"bucket/{self._bucket_path}")
        # Another server's 404 has no code.
        if answer.missing and answer.code:
            raise ConfigError(
                "config.invalid",
                f"there is no bucket {self._bucket}, or the key may not see it",
                why=answer.why,
                try_="create the bucket or name another in [storage] bucket; the key must be the service-role key",
            )
        bucket = answer.json
        if not isinstance(bucket, dict) or "id" not in bucket:
            raise ConfigError("config.invalid", "SUPABASE_URL does not lead to Supabase Storage", why=answer.why)
        return bucket

    def _path(self, key: str) -> str:
        return f"object/{self._bucket_path}/{quote(checked(key))}"


def _unset(name: str, remedy: str) -> ConfigError:
    return ConfigError("config.missing", f"{name} is not set", why="[storage] backend is supabase", try_=remedy)


def _rejected(key: str, answer: Answer) -> PermanentError:
    remedy = "see the bucket's limits on size and type"
    return PermanentError("storage.rejected", f"the storage refused {key}", why=answer.why, try_=remedy)


def _seconds(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except ValueError:
        return None


def _now(headers: Mapping[str, str]) -> float:
    """The server's clock, where it tells it."""
    return _seconds(headers.get("Date")) or time.time()


def _entry(told: dict[str, Any], now: float) -> _Entry:
    """A row as the server tells it; a folder has no row of its own, and so no id."""
    metadata = told.get("metadata")
    size = metadata.get("size") if isinstance(metadata, dict) else None
    written = _seconds_of_iso(told.get("updated_at") or told.get("created_at"))
    age = 0.0 if written is None else max(0.0, now - written)
    return _Entry(str(told["name"] or ""), told.get("id") is None, size if isinstance(size, int) else 0, age)


def _seconds_of_iso(date: object) -> float | None:
    """Seconds of ``2025-01-02T03:04:05.678Z``."""
    try:
        written = datetime.fromisoformat(date) if isinstance(date, str) else None
    except ValueError:
        return None
    # Without its zone it would be read as this machine's own time; the server's is UTC.
    return None if written is None else written.replace(tzinfo=written.tzinfo or UTC).timestamp()
