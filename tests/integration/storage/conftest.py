"""The three storages as docproc opens them: a folder, a mock of Supabase Storage, an S3 server."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from docproc.config import load
from docproc.storage import Storage, open_storage
from tests.support import Mocks
from tests.support_storage import S3Server, s3_server

BACKENDS = ("local", "supabase", "s3")


@dataclass(frozen=True, slots=True)
class Kept:
    """A storage without objects, and the environment that makes docproc open it."""

    backend: str
    storage: Storage
    environ: Mapping[str, str]


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """The S3 server of this worker."""
    with s3_server() as server:
        yield server


@pytest.fixture(params=BACKENDS)
def kept(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """Each of the backends in its turn, empty."""
    monkeypatch.chdir(tmp_path)
    backend = str(request.param)
    makes: dict[str, Callable[[], dict[str, str]]] = {
        "local": dict,
        "supabase": lambda: _supabase(request.getfixturevalue("services")),
        "s3": lambda: _s3(request.getfixturevalue("s3")),
    }
    environ = makes[backend]() | {"DOCPROC_HOME": str(tmp_path / "home")}
    return Kept(backend, open_storage(load(environ=environ)), environ)


@pytest.fixture
def storage(kept: Kept) -> Storage:
    return kept.storage


def _supabase(mocks: Mocks) -> dict[str, str]:
    bucket = f"bucket-{uuid4().hex[:12]}"
    made = urllib.request.Request(f"{mocks.address}/mock/buckets/{bucket}", method="PUT")
    with urllib.request.urlopen(made, timeout=10):
        return {
            "DOCPROC_STORAGE_BACKEND": "supabase",
            "DOCPROC_STORAGE_BUCKET": bucket,
            "SUPABASE_URL": mocks.address,
            "SUPABASE_SERVICE_ROLE_KEY": "a-service-role-key",
        }


def _s3(server: S3Server) -> dict[str, str]:
    bucket = server.make_bucket(f"bucket-{uuid4().hex[:12]}")
    # In a folder of the bucket, as where others share it.
    return server.environ(bucket) | {"DOCPROC_STORAGE_PREFIX": "team/docproc"}
