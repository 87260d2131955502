"""The storage that the end-to-end tests run over, chosen by DOCPROC_TEST_STORAGE, and a look into it past docproc."""

from __future__ import annotations

import hashlib
import json
import os
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from docproc import config
from docproc.local import mocks
from docproc.storage import Storage, open_storage
from tests.support import Docproc
from tests.support_storage import S3Server, s3_server

BACKENDS = ("local", "supabase", "s3")
BACKEND = os.environ.get("DOCPROC_TEST_STORAGE", "local")
KEY = "service-role-of-the-tests"

only_local = pytest.mark.skipif(BACKEND != "local", reason=f"about the local folder; the storage is {BACKEND}")
"""For tests of the folder itself: its modes, its drafts, what else is in docproc's home."""


@dataclass(slots=True)
class _Running:
    """The S3 server of this process, while it runs."""

    s3: S3Server | None = None
    buckets: set[str] = field(default_factory=set)


_running = _Running()


@contextmanager
def servers(*backends: str) -> Iterator[None]:
    """Starts what ``backends`` need beside the mock services; one that runs already is shared."""
    if "s3" not in backends or _running.s3:
        yield
        return
    with s3_server() as running:
        _running.s3 = running
        try:
            yield
        finally:
            _running.s3 = None
            _running.buckets.clear()


def variables(folder: Path, address: str, backend: str = BACKEND) -> dict[str, str]:
    """What makes docproc keep its objects over ``backend``, in a place that belongs to ``folder`` alone.

    ``address`` is that of the mock services; where it is that of nobody, the bucket is not there either.
    """
    bucket = f"desk-{hashlib.sha256(str(folder).encode()).hexdigest()[:20]}"
    match backend:
        case "local":
            return {}
        case "supabase":
            if not address.endswith(":9"):
                mocks.make_bucket(address, bucket)
            told = {"DOCPROC_STORAGE_BACKEND": "supabase", "DOCPROC_STORAGE_BUCKET": bucket}
            return told | {"SUPABASE_URL": address, "SUPABASE_SERVICE_ROLE_KEY": KEY}
        case "s3":
            assert _running.s3, "no S3 server runs: servers() starts one"
            if bucket not in _running.buckets:
                _running.buckets.add(_running.s3.make_bucket(bucket))
            return _running.s3.environ(bucket)
    raise ValueError(f"DOCPROC_TEST_STORAGE is {backend}, and must be one of {', '.join(BACKENDS)}")


@dataclass(frozen=True, slots=True)
class Objects:
    """What docproc with the environment ``environ`` has stored."""

    environ: Mapping[str, str]
    storage: Storage

    @classmethod
    def of(cls, docproc: Docproc) -> Objects:
        """The objects of ``docproc``."""
        return cls(docproc.environ, open_storage(config.load(environ=docproc.environ)))

    def all_keys(self) -> list[str]:
        """The keys of all objects, in order."""
        return sorted(found.key for found in self.storage.objects(""))

    def traces(self) -> int:
        """How many objects there are; in a local folder with the folders, so that none is left over unseen."""
        if self._backend != "local":
            return len(self.all_keys())
        return len(list((Path(self.environ["DOCPROC_HOME"]) / "storage").rglob("*")))

    def read(self, key: str) -> bytes:
        """An object's bytes."""
        return self.storage.read(key)

    def write(self, key: str, data: bytes) -> None:
        """Puts an object there, or other bytes into one."""
        self.storage.write(key, data)

    def delete(self, key: str) -> None:
        """Takes an object away."""
        self.storage.delete(key)

    def damage(self, key: str) -> None:
        """Turns an object's first byte into another one."""
        data = self.read(key)
        self.write(key, bytes([data[0] ^ 1]) + data[1:])

    def copy_to(self, other: Objects) -> None:
        """Puts the same objects into ``other``."""
        for key in self.all_keys():
            other.write(key, self.read(key))

    def make_old(self, key: str, seconds: float = 1_000_000.0) -> None:
        """Lets an object have been written ``seconds`` ago."""
        bucket = self.environ.get("DOCPROC_STORAGE_BUCKET", "")
        if self._backend == "supabase":
            address = f"{self.environ['SUPABASE_URL']}/mock/objects/{bucket}/{key}"
            request = urllib.request.Request(address, json.dumps({"age": seconds}).encode(), method="PUT")
            urllib.request.urlopen(request, timeout=10).close()
        elif self._backend == "s3":
            # The server has no request for this, and runs in this process.
            from moto.s3.models import s3_backends

            (kept,) = [part["aws"].buckets[bucket] for part in s3_backends.values() if bucket in part["aws"].buckets]
            kept.keys[key].last_modified -= timedelta(seconds=seconds)
        else:
            path = Path(self.environ["DOCPROC_HOME"], "storage", key)
            then = path.stat().st_mtime - seconds
            os.utime(path, (then, then))

    @property
    def _backend(self) -> str:
        return self.environ.get("DOCPROC_STORAGE_BACKEND", "local")
