"""Storage in a bucket of S3, or of a store that speaks its protocol."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from docproc.errors import ConfigError, JobError, PermanentError
from docproc.storage import Stored, sha256_of
from docproc.storage.s3_api import PART, Key, Place, Refusal, S3Api
from docproc.storage.uploading import (
    KEY,
    WaitingDraft,
    checked,
    content_type,
    downloaded,
    upload_all,
    waiting_draft,
)

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import S3Store

    from docproc.settings import Settings

TRIES = 3
"""How often an object is read whose bytes are not what was stored."""

PAGE = 1000
"""Objects of one request of a listing, and keys that are deleted together."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_NOTHING = "raw/docproc-asks-for-the-bucket"
_SHA256 = "sha256"  # kept with each object, because an ETag is its MD5 only here and there


class S3Storage:
    """Objects in a bucket. Every method raises CredentialsError, QuotaError, ConfigError or TransientError too."""

    def __init__(self, api: S3Api) -> None:
        self._api = api

    @classmethod
    def from_settings(cls, settings: Settings) -> S3Storage:
        """The bucket that the settings name. Raises ConfigError when something is missing or malformed."""
        if find_spec("obstore") is None:
            remedy = "pip install 'docproc[s3]'"
            raise ConfigError("config.missing", "S3 needs a library that is not installed", why="obstore", try_=remedy)
        told = settings.storage
        if not told.bucket:
            raise _unset("[storage] bucket", "name the bucket in docproc.toml")
        if not _BUCKET.fullmatch(told.bucket):
            raise ConfigError("config.invalid", f"storage.bucket = {told.bucket!r} is no bucket's name")
        prefix = told.prefix.strip("/")
        if prefix and not KEY.fullmatch(prefix):
            why = "its parts are of A-Z a-z 0-9 @ . _ - and do not begin with a dot"
            raise ConfigError("config.invalid", f"storage.prefix = {told.prefix!r} is no folder's name", why=why)
        place = Place(told.bucket, _checked_endpoint(told.endpoint), told.region.strip(), prefix)
        return cls(S3Api(place, _key(settings)))

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
        """Uploads ``data``, in parts when it is large; the store shows the object only when it has all of it.

        Raises PermanentError ``storage.rejected`` when the store does not take it.
        """
        checked(key)
        if isinstance(data, bytes):
            digest = hashlib.sha256(data).hexdigest()
        else:
            digest = sha256_of(data)
            data.seek(0)
        # no-cache: an object is replaced when its document is parsed again, and must not be read from a cache then.
        attributes = {"Content-Type": content_type(key), "Cache-Control": "no-cache", _SHA256: digest}
        answer = self._api.ask(
            lambda store: store.put(key, data, attributes=attributes, chunk_size=PART, max_concurrency=2)
        )
        if isinstance(answer, Refusal):
            self._believe(answer)
            raise _rejected(key, answer)

    def read(self, key: str) -> bytes:
        """The bytes under ``key``, whole, and checked against the SHA-256 that was stored with them.

        Raises PermanentError ``storage.missing``, or ``storage.corrupt`` when they differ each time they are read.
        """
        checked(key)
        for _ in range(TRIES):
            data, sha = self._had(key, self._api.ask(lambda store: _whole(store, key)))
            if sha in (None, hashlib.sha256(data).hexdigest()):
                return data
        raise _corrupt(key)

    def open(self, key: str) -> BinaryIO:
        """The object under ``key``, downloaded in parts into a file without a name. Raises as ``read`` does."""
        return downloaded(lambda file: self._fetch(key, file))

    def _fetch(self, key: str, into: BinaryIO) -> None:
        for _ in range(TRIES):
            into.seek(0)
            into.truncate()
            if self._fetched(key, into):
                return
        raise _corrupt(key)

    def _fetched(self, key: str, into: BinaryIO) -> bool:
        """Whether the bytes that were written to ``into`` are those that were stored."""
        meta = self._head(key)
        if meta is None:
            raise _missing(key)
        digest = hashlib.sha256()
        sha = None
        # A request a part: each is over before its time is, however large the object; and all are of one version.
        for start in range(0, meta["size"], PART):
            answer = self._api.ask(lambda store, start=start: _part(store, key, start, meta["e_tag"]))  # type: ignore[misc]
            data, sha = self._had(key, answer)
            digest.update(data)
            into.write(data)
        return sha in (None, digest.hexdigest())

    def exists(self, key: str) -> bool:
        """Whether there is an object under ``key``."""
        return self._head(key) is not None

    def delete(self, key: str) -> None:
        """Removes the object under ``key``; it is no error when there is none."""
        self._delete([checked(key)])

    def objects(self, prefix: str) -> Iterator[Stored]:
        """Every object whose key begins with ``prefix``, in order; its age by this machine's clock.

        AWS refuses requests from a clock that differs from its own by more than 15 minutes.
        """
        folder = prefix.rpartition("/")[0]
        pages = self._api.ask(lambda store: store.list(folder or None, chunk_size=PAGE))
        while page := self._api.ask(lambda _: next(iter(pages), None)):  # type: ignore[arg-type]
            if isinstance(page, Refusal):
                raise _rejected(folder, page)
            for meta in page:
                # Others' objects, as the markers that a console makes for folders, are none of ours.
                if meta["path"].startswith(prefix) and KEY.fullmatch(meta["path"]):
                    yield Stored(meta["path"], meta["size"], _age(meta))

    def purge(self, user: str) -> None:
        """Removes every object of ``user``; folders are nothing by themselves here."""
        for prefix in (f"raw/{user}/", f"parsed/{user}/"):
            keys = [found.key for found in self.objects(prefix)]
            for start in range(0, len(keys), PAGE):
                self._delete(keys[start : start + PAGE])

    def age(self, key: str) -> float:
        """Seconds since the object was written, by this machine's clock; 0 when there is none."""
        meta = self._head(key)
        return 0.0 if meta is None else _age(meta)

    def sweep(self, seconds: float, *, dry_run: bool) -> int:  # noqa: ARG002 - the protocol's
        """Nothing to remove: a draft is a file without a name, gone with its process."""
        return 0

    def check(self) -> str:
        """The bucket, its folder and its host, after asking for the bucket."""
        self._probe()
        self._head(_NOTHING)
        place = self._api.place
        return f"bucket {place.bucket}{f'/{place.prefix}' if place.prefix else ''} at {place.host}"

    def readable_by_all(self) -> bool | None:
        """Whether somebody without a key may read one of the objects; None when there is none to try it with."""
        first = next(self.objects(""), None)
        return None if first is None else self._api.readable_by_all(first.key)

    def _delete(self, keys: list[str]) -> None:
        answer = self._api.ask(lambda store: store.delete(keys))
        if isinstance(answer, Refusal):
            self._believe(answer)
            if not answer.missing:
                raise _rejected(keys[0], answer)

    def _head(self, key: str) -> ObjectMeta | None:
        checked(key)
        answer = self._api.ask(lambda store: store.head(key))
        if not isinstance(answer, Refusal):
            if answer["e_tag"] is None:  # which every S3 store sends: this is a web server that says yes to all
                raise self._no_store("no ETag")
            return answer
        self._believe(answer)
        if not answer.missing:
            raise _rejected(key, answer)
        return None

    def _had(self, key: str, answer: tuple[bytes, str | None] | Refusal) -> tuple[bytes, str | None]:
        if isinstance(answer, Refusal):
            self._believe(answer)
            raise _missing(key) if answer.missing else _rejected(key, answer)
        return answer

    def _believe(self, refusal: Refusal) -> None:
        """Returns when ``refusal`` is about the object; without a code it may be about the bucket, or the key."""
        if refusal.unclear:
            self._probe()

    def _probe(self) -> None:
        """Asks for the bucket itself, by a listing in which nothing is. Raises ConfigError when there is none."""
        answer = self._api.ask(lambda store: store.list(_NOTHING).collect())
        if isinstance(answer, Refusal):
            raise self._no_store(answer.why)

    def _no_store(self, why: str) -> ConfigError:
        what = f"{self._api.place.host} does not answer as an S3 store does"
        return ConfigError("config.invalid", what, why=why, try_="check [storage] endpoint and bucket")


def _whole(store: S3Store, key: str) -> tuple[bytes, str | None]:
    """The object's bytes and the SHA-256 that was stored with them."""
    got = store.get(key)
    return bytes(got.bytes()), got.attributes.get(_SHA256)


def _part(store: S3Store, key: str, start: int, etag: str | None) -> tuple[bytes, str | None]:
    """The same, ``PART`` bytes from ``start`` on of the version ``etag``."""
    got = store.get(key, options={"range": (start, start + PART), "if_match": etag})
    return bytes(got.bytes()), got.attributes.get(_SHA256)


def _age(meta: ObjectMeta) -> float:
    return max(0.0, time.time() - meta["last_modified"].timestamp())


def _key(settings: Settings) -> Key | None:
    """The key of the environment; None when the machine's role is to be used."""
    secrets, origins = settings.secrets, settings.origins
    access, secret = secrets.aws_access_key_id, secrets.aws_secret_access_key
    if access is None and secret is None:
        return None
    if access is None or secret is None:
        name = "AWS_ACCESS_KEY_ID" if access is None else "AWS_SECRET_ACCESS_KEY"
        raise _unset(name, f"set {name} in the environment")
    # The token of another profile's key, whose variable's name begins otherwise, would spoil this one.
    owners = {
        origins.get(f"secrets.aws_{name}", "").partition("AWS_")[0] for name in ("access_key_id", "session_token")
    }
    return Key(access, secret, secrets.aws_session_token if len(owners) == 1 else None)


def _checked_endpoint(endpoint: str) -> str:
    endpoint = endpoint.strip().rstrip("/")
    try:
        parts = urlsplit(endpoint)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if endpoint and (not good or parts.query or parts.fragment or parts.username):
        why = "it is like https://s3.example.com, without the bucket"
        raise ConfigError("config.invalid", "[storage] endpoint is not an address", why=why)
    return endpoint


def _unset(name: str, remedy: str) -> ConfigError:
    return ConfigError("config.missing", f"{name} is not set", why="[storage] backend is s3", try_=remedy)


def _missing(key: str) -> PermanentError:
    return PermanentError("storage.missing", f"{key} is not in the storage")


def _corrupt(key: str) -> PermanentError:
    why = "their SHA-256 is not the one that was stored with them"
    return PermanentError("storage.corrupt", f"the bytes of {key} are not what was stored", why=why)


def _rejected(key: str, refusal: Refusal) -> PermanentError:
    return PermanentError("storage.rejected", f"the storage refused {key}", why=refusal.why)
