"""docproc's own Supabase backend over the mock storage, real HTTP between them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from docproc.app import MOCK_KEY
from docproc.errors import ConfigError, CredentialsError, PermanentError
from docproc.local.mocks import make_bucket
from docproc.settings import Secret
from docproc.storage.supabase import SupabaseStorage
from docproc.storage.supabase_api import SupabaseApi
from tests.unit.mocks.storage_checks import BYTES


@pytest.fixture
def bucket(server: Any) -> str:
    """A bucket of the test's own."""
    name = f"papers-{uuid4()}"
    make_bucket(server.url, name)
    return name


def backend(server: Any, bucket: str, key: str = MOCK_KEY) -> SupabaseStorage:
    return SupabaseStorage(SupabaseApi(server.url, Secret(key), sleep=lambda _: None), bucket)


def test_docprocs_backend_keeps_its_promises_on_it(server: Any, bucket: str) -> None:
    storage = backend(server, bucket)
    assert bucket in storage.check()
    large = bytes(range(256)) * 12_000
    with storage.draft() as draft:
        draft.write(large)
        draft.keep("raw/ada/1.pdf")
    storage.write("raw/ada/2.txt", b"")
    with storage.open("raw/ada/1.pdf") as file:
        assert file.read() == large
    assert storage.read("raw/ada/2.txt") == b""
    assert [(found.key, found.size) for found in storage.objects("raw/")] == [
        ("raw/ada/1.pdf", len(large)),
        ("raw/ada/2.txt", 0),
    ]
    storage.delete("raw/ada/1.pdf")
    storage.delete("raw/ada/1.pdf")
    assert not storage.exists("raw/ada/1.pdf")
    with pytest.raises(PermanentError, match="is not in the storage"):
        storage.read("raw/ada/1.pdf")


def test_docprocs_backend_tells_a_wrong_key_from_a_missing_bucket(server: Any, bucket: str) -> None:
    with pytest.raises(CredentialsError):
        backend(server, bucket, "bad-key").read("raw/a.txt")
    with pytest.raises(ConfigError, match="there is no bucket"):
        backend(server, "nothing").read("raw/a.txt")


def test_docprocs_backend_reads_again_what_came_damaged_or_cut(server: Any, bucket: str) -> None:
    storage = backend(server, bucket)
    storage.write("raw/a.txt", BYTES)
    server.order("storage.corrupt:times=1", "storage.cut:times=1,after=1")
    assert storage.read("raw/a.txt") == BYTES
    server.order("storage.corrupt")
    with pytest.raises(PermanentError, match="not what was stored"):
        storage.read("raw/a.txt")
