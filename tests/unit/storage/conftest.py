"""A Supabase that answers as a test says, and every way in which docproc calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import responses

from docproc.storage import Storage
from docproc.storage.supabase import SupabaseStorage
from docproc.storage.supabase_api import SupabaseApi

SERVICE = "https://project.supabase.test"
KEY = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJl"
DOCUMENT = "raw/default/0b8f.pdf"
BUCKET = f"{SERVICE}/storage/v1/bucket/papers"
LIST = f"{SERVICE}/storage/v1/object/list/papers"
OBJECT = f"{SERVICE}/storage/v1/object/papers/{DOCUMENT}"


@dataclass(frozen=True, slots=True)
class Call:
    """A method of the storage, and the first request that it sends."""

    name: str
    method: str
    url: str
    run: Callable[[Storage], object]


CALLS = (
    Call("write", "POST", OBJECT, lambda storage: storage.write(DOCUMENT, b"data")),
    Call("read", "GET", OBJECT, lambda storage: storage.read(DOCUMENT)),
    Call("open", "GET", OBJECT, lambda storage: storage.open(DOCUMENT).close()),
    Call("exists", "HEAD", OBJECT, lambda storage: storage.exists(DOCUMENT)),
    Call("age", "HEAD", OBJECT, lambda storage: storage.age(DOCUMENT)),
    Call("delete", "DELETE", OBJECT, lambda storage: storage.delete(DOCUMENT)),
    Call("objects", "POST", LIST, lambda storage: list(storage.objects("raw/"))),
    Call("check", "GET", BUCKET, lambda storage: storage.check()),
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, which holds no docproc.toml."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=CALLS, ids=lambda call: call.name)
def call(request: pytest.FixtureRequest) -> Call:
    made: Call = request.param
    return made


@pytest.fixture
def supabase() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def pauses() -> list[float]:
    """The seconds that the storage would have slept."""
    return []


@pytest.fixture
def storage(pauses: list[float]) -> SupabaseStorage:
    return SupabaseStorage(SupabaseApi(SERVICE, KEY, sleep=pauses.append), "papers")
