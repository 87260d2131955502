"""Holds the Supabase backend to docproc's errors for the odd answers of the real server."""

from __future__ import annotations

import socket
import threading
import traceback
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest
import requests
import responses

from docproc.errors import (
    ConfigError,
    CredentialsError,
    PermanentError,
    QuotaError,
    TransientError,
)
from docproc.storage.supabase import SupabaseStorage
from docproc.storage.supabase_api import MAX_PAUSE, SupabaseApi

if TYPE_CHECKING:
    from tests.unit.storage.conftest import Call

SERVICE = "https://project.supabase.test"
API = f"{SERVICE}/storage/v1"
BUCKET = f"{API}/bucket/papers"
KEY = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJl"
DOCUMENT = "raw/default/0b8f.pdf"
OBJECT = f"{API}/object/papers/{DOCUMENT}"

NO_KEY = {"statusCode": "404", "code": "NoSuchKey", "error": "NoSuchKey", "message": "Object not found"}
OLD_NO_KEY = {"statusCode": "404", "error": "not_found", "message": "Object not found"}
NO_BUCKET = {"statusCode": "404", "error": "Bucket not found", "message": "Bucket not found"}
NEW_NO_BUCKET = {"statusCode": "404", "code": "NoSuchBucket", "error": "NoSuchBucket", "message": "Bucket not found"}
DENIED = {"statusCode": "403", "error": "Unauthorized", "message": "signature verification failed"}
OLD_DENIED = {"statusCode": "400", "error": "jwt malformed", "message": "jwt malformed"}
BUSY = {"statusCode": "503", "code": "LockTimeout", "error": "LockTimeout", "message": "acquiring lock timeout"}


# ── missing, and what only looks so ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("status", "body"), [(400, NO_KEY), (400, OLD_NO_KEY), (404, NO_KEY)])
def test_a_missing_object_is_missing(
    supabase: responses.RequestsMock, storage: SupabaseStorage, status: int, body: dict[str, str]
) -> None:
    supabase.get(BUCKET, json={"id": "papers", "public": False})
    supabase.get(OBJECT, status=status, json=body)
    with pytest.raises(PermanentError) as caught:
        storage.read(DOCUMENT)
    assert caught.value.code == "storage.missing"
    assert [call.request.method for call in supabase.calls] == ["GET", "GET"]


@pytest.mark.parametrize("status", [400, 404])
def test_a_missing_object_does_not_exist_and_has_no_age(
    supabase: responses.RequestsMock, storage: SupabaseStorage, status: int
) -> None:
    supabase.get(BUCKET, json={"id": "papers", "public": False})
    supabase.head(OBJECT, status=status)
    assert not storage.exists(DOCUMENT)
    assert storage.age(DOCUMENT) == 0


def test_deleting_what_is_missing_is_no_error(supabase: responses.RequestsMock, storage: SupabaseStorage) -> None:
    supabase.get(BUCKET, json={"id": "papers", "public": False})
    supabase.delete(OBJECT, status=400, json=NO_KEY)
    storage.delete(DOCUMENT)
    assert [call.request.method for call in supabase.calls] == ["DELETE", "GET"]


@pytest.mark.parametrize("said", [NO_BUCKET, NEW_NO_BUCKET, NO_KEY], ids=["old", "new", "no rights"])
@pytest.mark.parametrize(("status", "body"), [(403, DENIED), (400, DENIED), (400, OLD_DENIED), (401, {})])
def test_a_wrong_key_that_looks_like_missing_is_known_by_asking_for_the_bucket(
    supabase: responses.RequestsMock,
    storage: SupabaseStorage,
    call: Call,
    status: int,
    body: dict[str, str],
    said: dict[str, str],
) -> None:
    supabase.get(BUCKET, status=status, json=body)
    if call.url != BUCKET:
        supabase.add(call.method, call.url, status=400, json=said if call.method != "HEAD" else None)
    with pytest.raises(CredentialsError) as caught:
        call.run(storage)
    assert caught.value.code == "credentials.storage"


@pytest.mark.parametrize("body", [NO_BUCKET, NEW_NO_BUCKET])
def test_a_bucket_that_is_really_missing_is_a_matter_of_configuration(
    supabase: responses.RequestsMock,
    storage: SupabaseStorage,
    call: Call,
    body: dict[str, str],
) -> None:
    supabase.get(BUCKET, status=400, json=body)
    if call.url != BUCKET:
        supabase.add(call.method, call.url, status=400, json=body if call.method != "HEAD" else None)
    with pytest.raises(ConfigError) as caught:
        call.run(storage)
    assert caught.value.code == "config.invalid"
    assert "papers" in caught.value.what


def test_a_server_that_denies_a_bucket_it_shows_is_not_believed(
    supabase: responses.RequestsMock, storage: SupabaseStorage
) -> None:
    supabase.get(BUCKET, json={"id": "papers", "public": False})
    supabase.get(OBJECT, status=400, json=NEW_NO_BUCKET)
    with pytest.raises(TransientError):
        storage.read(DOCUMENT)


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_refused_key_is_told_at_once(supabase: responses.RequestsMock, storage: SupabaseStorage, call: Call) -> None:
    supabase.add(call.method, call.url, status=403)
    with pytest.raises(CredentialsError):
        call.run(storage)
    assert len(supabase.calls) == 1


@pytest.mark.parametrize(
    ("status", "code"), [("413", "EntityTooLarge"), ("415", "InvalidMimeType"), ("400", "InvalidKey")]
)
def test_an_object_that_the_bucket_does_not_take_fails_its_job_alone(
    supabase: responses.RequestsMock, storage: SupabaseStorage, status: str, code: str
) -> None:
    supabase.post(OBJECT, status=400, json={"statusCode": status, "code": code, "message": "no"})
    with pytest.raises(PermanentError) as caught:
        storage.write(DOCUMENT, b"data")
    assert caught.value.code == "storage.rejected"
    assert caught.value.why == f"HTTP {status} {code}"
    assert caught.value.remedy
    assert len(supabase.calls) == 1


def test_a_used_up_quota_stops_the_run(supabase: responses.RequestsMock, storage: SupabaseStorage) -> None:
    supabase.get(OBJECT, status=402, json={"code": "exceed_egress_quota"})
    with pytest.raises(QuotaError):
        storage.read(DOCUMENT)


def test_a_redirect_is_not_followed(supabase: responses.RequestsMock, storage: SupabaseStorage, call: Call) -> None:
    supabase.add(call.method, call.url, status=301, headers={"Location": "https://elsewhere.test/"})
    with pytest.raises(ConfigError, match="SUPABASE_URL"):
        call.run(storage)
    assert len(supabase.calls) == 1


# ── tries ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 540, 544])
def test_a_transient_status_is_tried_three_times(
    supabase: responses.RequestsMock,
    storage: SupabaseStorage,
    pauses: list[float],
    call: Call,
    status: int,
) -> None:
    supabase.add(call.method, call.url, status=status)
    with pytest.raises(TransientError) as caught:
        call.run(storage)
    assert caught.value.code == "storage.unavailable"
    assert str(status) in caught.value.why
    assert len(supabase.calls) == 3
    assert 1 <= pauses[0] <= 2 <= pauses[1] <= 3
    assert len(pauses) == 2


@pytest.mark.parametrize(
    "failure",
    [requests.ConnectTimeout, requests.ReadTimeout, requests.ConnectionError, requests.exceptions.ChunkedEncodingError],
)
def test_a_connection_that_fails_is_tried_three_times(
    supabase: responses.RequestsMock,
    storage: SupabaseStorage,
    call: Call,
    failure: type[Exception],
) -> None:
    supabase.add(call.method, call.url, body=failure("no route"))
    with pytest.raises(TransientError) as caught:
        call.run(storage)
    assert caught.value.code == "storage.unavailable"
    assert caught.value.why == failure.__name__
    assert len(supabase.calls) == 3


@pytest.mark.parametrize("failures", [1, 2])
def test_a_passing_trouble_is_not_noticed(
    supabase: responses.RequestsMock, storage: SupabaseStorage, failures: int
) -> None:
    for _ in range(failures):
        supabase.post(OBJECT, status=503)
    supabase.post(OBJECT, json={"Key": DOCUMENT})
    storage.write(DOCUMENT, b"data")
    assert len(supabase.calls) == failures + 1


@pytest.mark.parametrize("body", [BUSY, {"statusCode": "429"}, {"statusCode": "409", "error": "Duplicate"}])
def test_a_transient_status_inside_a_400_is_tried_again(
    supabase: responses.RequestsMock, storage: SupabaseStorage, body: dict[str, str]
) -> None:
    supabase.post(OBJECT, status=400, json=body)
    supabase.post(OBJECT, json={"Key": DOCUMENT})
    storage.write(DOCUMENT, b"data")
    assert len(supabase.calls) == 2


@pytest.mark.parametrize(("asked", "slept"), [("5", 5.0), ("3600", MAX_PAUSE)])
def test_the_server_may_ask_for_a_longer_pause(
    supabase: responses.RequestsMock, storage: SupabaseStorage, pauses: list[float], asked: str, slept: float
) -> None:
    supabase.get(OBJECT, status=429, headers={"Retry-After": asked})
    supabase.get(OBJECT, body=b"data")
    storage.read(DOCUMENT)
    assert pauses == [slept]


def test_an_address_where_nothing_listens_is_unavailable(pauses: list[float]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        storage = SupabaseStorage(SupabaseApi(f"http://127.0.0.1:{port}", KEY, sleep=pauses.append), "papers")
        with pytest.raises(TransientError) as caught:
            storage.read(DOCUMENT)
    assert len(pauses) == 2
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_an_answer_that_is_cut_off_is_read_again(pauses: list[float]) -> None:
    class CutOff(BaseHTTPRequestHandler):
        cut = iter((True, False))

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"da" if next(self.cut) else b"data")

        def log_message(self, *args: object) -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), CutOff) as real:
        thread = threading.Thread(target=real.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        api = SupabaseApi(f"http://127.0.0.1:{real.server_port}", KEY, sleep=pauses.append)
        try:
            assert SupabaseStorage(api, "papers").read(DOCUMENT) == b"data"
        finally:
            real.shutdown()
            thread.join()
            api._session.close()
    assert len(pauses) == 1
