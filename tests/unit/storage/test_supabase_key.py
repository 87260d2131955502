"""Holds the Supabase backend to its settings, and to never showing the key."""

from __future__ import annotations

import logging
import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
import responses

import docproc
from docproc.config import load
from docproc.errors import ConfigError, DocprocError, PermanentError
from docproc.storage import open_storage
from docproc.storage.supabase import SupabaseStorage
from docproc.storage.supabase_api import SupabaseApi

if TYPE_CHECKING:
    from tests.unit.storage.conftest import Call

ROOT = Path(docproc.__file__).parent.parent
SERVICE = "https://project.supabase.test"
API = f"{SERVICE}/storage/v1"
BUCKET = f"{API}/bucket/papers"
KEY = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJl"
DOCUMENT = "raw/default/0b8f.pdf"
OBJECT = f"{API}/object/papers/{DOCUMENT}"

NO_KEY = {"statusCode": "404", "code": "NoSuchKey", "error": "NoSuchKey", "message": "Object not found"}
NO_BUCKET = {"statusCode": "404", "error": "Bucket not found", "message": "Bucket not found"}
DENIED = {"statusCode": "403", "error": "Unauthorized", "message": "signature verification failed"}


# ── settings ──────────────────────────────────────────────────────────────────────────────────────────────────────────

COMPLETE = {
    "DOCPROC_STORAGE_BACKEND": "supabase",
    "DOCPROC_STORAGE_BUCKET": "papers",
    "SUPABASE_URL": SERVICE,
    "SUPABASE_SERVICE_ROLE_KEY": KEY,
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_settings_choose_the_backend(supabase: responses.RequestsMock) -> None:
    supabase.get(BUCKET, json={"id": "papers", "public": False})
    storage = open_storage(load(environ=COMPLETE))
    assert isinstance(storage, SupabaseStorage)
    assert storage.check() == "bucket papers at project.supabase.test"


def test_nothing_heavy_is_imported_before_the_first_request() -> None:
    program = (
        "import sys; from docproc.storage.supabase import SupabaseStorage, SupabaseApi;"
        f"SupabaseStorage(SupabaseApi('{SERVICE}', 'key'), 'papers');"
        "print({'requests', 'tenacity', 'urllib3'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout == "set()\n"


@pytest.mark.parametrize("url", [f"{SERVICE}/", f"{SERVICE}/storage/v1", f"{SERVICE}/storage/v1/", f" {SERVICE}\n"])
def test_the_address_is_taken_as_users_paste_it(supabase: responses.RequestsMock, url: str) -> None:
    supabase.get(BUCKET, json={"id": "papers", "public": False})
    SupabaseStorage.from_settings(load(environ=COMPLETE | {"SUPABASE_URL": url})).check()


@pytest.mark.parametrize("name", ["SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY"])
@pytest.mark.parametrize("value", ["", "  \n"])
def test_a_missing_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SupabaseStorage.from_settings(load(environ=COMPLETE | {name: value}))
    assert caught.value.code == "config.missing"
    assert name in caught.value.what
    assert name in caught.value.remedy


def test_an_empty_bucket_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        SupabaseStorage.from_settings(load(environ=COMPLETE, flags={"storage.bucket": ""}))
    assert caught.value.code == "config.missing"
    assert "bucket" in caught.value.what


@pytest.mark.parametrize(
    "url",
    [
        "project.supabase.test",
        "ftp://x",
        "https://",
        "https://[",
        "https://x:y",
        "https://u:p@x.test",
        "https://x/?k=1",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SupabaseStorage.from_settings(load(environ=COMPLETE | {"SUPABASE_URL": url}))
    assert caught.value.code == "config.invalid"


@pytest.mark.parametrize("damage", ["\n", " ", "\r\nX-Header: 1", "ä", "\x00", "…"])
def test_a_key_that_no_header_can_hold_is_refused_without_showing_it(damage: str) -> None:
    key = f"{KEY}{damage}{KEY}"
    with pytest.raises(ConfigError) as caught:
        SupabaseStorage.from_settings(load(environ=COMPLETE | {"SUPABASE_SERVICE_ROLE_KEY": key}))
    assert caught.value.code == "config.invalid"
    assert KEY not in str(caught.value) + repr(caught.value) + repr(vars(caught.value))


# ── the key is never shown ────────────────────────────────────────────────────────────────────────────────────────────

TROUBLES: list[dict[str, Any]] = [
    {"status": 400, "json": NO_KEY},
    {"status": 400, "json": NO_BUCKET},
    {"status": 400, "json": {"statusCode": "415", "code": KEY, "error": KEY, "message": KEY}},
    {"status": 400, "json": {"statusCode": KEY, "code": "InvalidKey", "message": f"Bearer {KEY}"}},
    {"status": 403, "json": {"statusCode": "403", "error": f"Bearer {KEY}", "message": KEY}},
    {"status": 402, "body": KEY},
    {"status": 302, "headers": {"Location": f"https://elsewhere.test/{KEY}"}},
    {"status": 503, "body": KEY},
    {"status": 200, "body": KEY, "headers": {"ETag": f'"{"0" * 32}"'}},
    {"body": requests.ConnectionError(f"Bearer {KEY}")},
    {"body": requests.exceptions.InvalidHeader(f"Bearer {KEY}")},
    {"body": requests.ReadTimeout(f"apikey: {KEY}")},
]


@pytest.mark.parametrize(("number", "trouble"), list(enumerate(TROUBLES)))
def test_no_exception_shows_the_key(
    supabase: responses.RequestsMock,
    storage: SupabaseStorage,
    caplog: pytest.LogCaptureFixture,
    call: Call,
    number: int,
    trouble: dict[str, Any],
) -> None:
    caplog.set_level(logging.DEBUG)
    supabase.add(call.method, call.url, **trouble)
    if call.url != BUCKET:
        supabase.get(BUCKET, status=403, json=DENIED)
    caught = None
    try:
        call.run(storage)
    except DocprocError as error:
        caught = error
    if caught is not None:
        assert KEY not in str(caught) + repr(caught) + repr(caught.args) + repr(vars(caught))
        assert KEY not in "".join(traceback.format_exception(caught))
        assert caught.__cause__ is None
        assert caught.__context__ is None
    assert KEY not in caplog.text
    successes = {("POST", OBJECT), ("HEAD", OBJECT), ("DELETE", OBJECT)}
    assert caught is not None or (number == 8 and (call.method, call.url) in successes)


@pytest.mark.parametrize("code", ["onlyletters", "an onlyletters key", "\x1b[2J", "a\nb", "x" * 41, "<html>"])
def test_a_code_that_could_hold_a_key_or_steer_a_terminal_is_left_out(
    supabase: responses.RequestsMock, code: str
) -> None:
    supabase.get(OBJECT, status=400, json={"statusCode": "415", "code": code})
    with pytest.raises(PermanentError) as caught:
        SupabaseStorage(SupabaseApi(SERVICE, "onlyletters"), "papers").read(DOCUMENT)
    assert caught.value.why == "HTTP 415"


def test_neither_the_storage_nor_its_parts_show_the_key(storage: SupabaseStorage) -> None:
    api = storage._api
    parts = [storage, vars(storage), api, vars(api), api._session, api._session.auth, vars(api._session)]
    assert not [part for part in parts if KEY in f"{part} {part!r}"]
