"""Holds the Supabase backend to what the protocol asks of a storage, and to what it sends."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
import requests
import responses

from docproc.errors import (
    ConfigError,
    CredentialsError,
    PermanentError,
    TransientError,
)
from docproc.storage.supabase import SupabaseStorage
from docproc.storage.supabase_api import TRIES

SERVICE = "https://project.supabase.test"
API = f"{SERVICE}/storage/v1"
BUCKET = f"{API}/bucket/papers"
LIST = f"{API}/object/list/papers"
KEY = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJl"
DOCUMENT = "raw/default/0b8f.pdf"
OBJECT = f"{API}/object/papers/{DOCUMENT}"


# ── what is sent ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_upload_replaces_and_names_its_type(supabase: responses.RequestsMock, storage: SupabaseStorage) -> None:
    supabase.post(OBJECT, json={"Key": f"papers/{DOCUMENT}"})
    storage.write(DOCUMENT, b"%PDF-1.7")
    request = supabase.calls[0].request
    assert request.body == b"%PDF-1.7"
    assert request.headers["x-upsert"] == "true"
    assert request.headers["Content-Type"] == "application/pdf"
    assert request.headers["Cache-Control"] == "no-cache"


def test_every_request_carries_the_key_and_the_timeouts(
    supabase: responses.RequestsMock, storage: SupabaseStorage
) -> None:
    supabase.get(OBJECT, body=b"data")
    storage.read(DOCUMENT)
    request = supabase.calls[0].request
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["apikey"] == KEY
    assert request.headers["Accept-Encoding"] == "identity"
    assert request.req_kwargs["timeout"] == (10.0, 60.0)  # type: ignore[attr-defined]


def test_a_netrc_file_does_not_replace_the_key(
    supabase: responses.RequestsMock, storage: SupabaseStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine project.supabase.test login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    supabase.get(OBJECT, body=b"data")
    storage.read(DOCUMENT)
    assert supabase.calls[0].request.headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("key", "content_type"),
    [
        ("parsed/default/0b8f.md", "text/markdown; charset=utf-8"),
        ("parsed/default/0b8f.json", "application/json"),
        ("raw/default/0b8f.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("raw/default/0b8f", "application/octet-stream"),
    ],
)
def test_the_content_type_follows_the_extension(
    supabase: responses.RequestsMock, storage: SupabaseStorage, key: str, content_type: str
) -> None:
    supabase.post(f"{API}/object/papers/{key}")
    storage.write(key, b"data")
    assert supabase.calls[0].request.headers["Content-Type"] == content_type


@pytest.mark.parametrize("key", ["", "/", "raw//a", "raw/../a", "../a", "raw/.hidden", "raw/ä", "raw/a b", "raw/a?b"])
@pytest.mark.parametrize("method", ["read", "exists", "delete", "age"])
def test_keys_that_are_no_keys_are_never_sent(
    supabase: responses.RequestsMock, storage: SupabaseStorage, key: str, method: str
) -> None:
    with pytest.raises(ValueError, match="not a storage key"):
        getattr(storage, method)(key)
    assert len(supabase.calls) == 0


def test_a_user_who_is_a_mail_address_has_keys(supabase: responses.RequestsMock, storage: SupabaseStorage) -> None:
    supabase.get(f"{API}/object/papers/raw/ada%40example.com/0b8f.pdf", body=b"data")
    assert storage.read("raw/ada@example.com/0b8f.pdf") == b"data"


def test_of_objects_written_together_each_is_judged_by_itself(
    supabase: responses.RequestsMock, storage: SupabaseStorage
) -> None:
    def answer(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        refused = {"statusCode": "413", "code": "EntityTooLarge"}
        return (400, {}, json.dumps(refused)) if str(request.url).endswith("/3.md") else (200, {}, "{}")

    for number in range(20):
        supabase.add_callback("POST", f"{API}/object/papers/raw/ada/{number}.md", answer)
    errors = storage.write_all([(f"raw/ada/{number}.md", b"data") for number in range(20)])
    assert [number for number, error in enumerate(errors) if error is not None] == [3]
    assert errors[3] is not None
    assert errors[3].code == "storage.rejected"


def test_a_refused_key_stops_what_is_written_together(
    supabase: responses.RequestsMock, storage: SupabaseStorage
) -> None:
    supabase.post(re.compile(f"{API}/object/.*"), status=400, json={"statusCode": "403", "error": "Unauthorized"})
    with pytest.raises(CredentialsError):
        storage.write_all([(f"raw/ada/{number}.md", b"data") for number in range(100)])
    assert len(supabase.calls) < 100


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_bytes_are_read_as_they_were_written(supabase: responses.RequestsMock, storage: SupabaseStorage) -> None:
    data = bytes(range(256))
    etag = f'"{hashlib.md5(data).hexdigest()}"'
    supabase.get(OBJECT, body=data, headers={"ETag": etag, "Content-Length": "256"})
    assert storage.read(DOCUMENT) == data


def test_bytes_that_stay_damaged_are_read_three_times_and_refused(
    supabase: responses.RequestsMock, storage: SupabaseStorage
) -> None:
    supabase.get(OBJECT, body=b"data", headers={"ETag": f'"{hashlib.md5(b"other").hexdigest()}"'})
    with pytest.raises(PermanentError) as caught:
        storage.read(DOCUMENT)
    assert caught.value.code == "storage.corrupt"
    assert len(supabase.calls) == TRIES


def test_bytes_damaged_on_the_way_are_read_again(supabase: responses.RequestsMock, storage: SupabaseStorage) -> None:
    etag = {"ETag": f'"{hashlib.md5(b"data").hexdigest()}"'}
    supabase.get(OBJECT, body=b"dat?", headers=etag)
    supabase.get(OBJECT, body=b"data", headers=etag)
    assert storage.read(DOCUMENT) == b"data"


@pytest.mark.parametrize("etag", [f'"{"0" * 32}-2"', f'W/"{"0" * 32}"', '"1690000000"', ""])
def test_an_etag_that_is_no_md5_is_not_compared(
    supabase: responses.RequestsMock, storage: SupabaseStorage, etag: str
) -> None:
    supabase.get(OBJECT, body=b"data", headers={"ETag": etag})
    assert storage.read(DOCUMENT) == b"data"


# ── by blocks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_large_draft_is_sent_by_blocks_with_its_length_and_whole_at_every_try(
    supabase: responses.RequestsMock, storage: SupabaseStorage
) -> None:
    sent: list[tuple[int, str]] = []

    def answer(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        sent.append((len(request.body or b""), request.headers["Content-Length"]))
        return (503 if len(sent) < TRIES else 200), {}, "{}"

    supabase.add_callback("POST", OBJECT, answer)
    with storage.draft() as draft:
        for _ in range(3):
            draft.write(bytes(1 << 20))
        draft.keep(DOCUMENT)
    assert sent == [(3 << 20, str(3 << 20))] * TRIES


@pytest.mark.parametrize("data", [b"", b"data"])
def test_a_small_draft_is_sent_as_it_is(
    supabase: responses.RequestsMock, storage: SupabaseStorage, data: bytes
) -> None:
    supabase.post(OBJECT, json={})
    with storage.draft() as draft:
        draft.write(data)
        draft.keep(DOCUMENT)
    assert (supabase.calls[0].request.body or b"") == data


def test_an_object_is_opened_as_a_file_of_this_machine(
    supabase: responses.RequestsMock, storage: SupabaseStorage
) -> None:
    data = bytes(range(256)) * 10_000
    supabase.get(OBJECT, body=data, headers={"ETag": f'"{hashlib.md5(data).hexdigest()}"'})
    with storage.open(DOCUMENT) as file:
        assert file.fileno() >= 0
        assert (file.tell(), file.read()) == (0, data)


def test_a_file_damaged_on_the_way_is_downloaded_again_from_its_beginning(
    supabase: responses.RequestsMock, storage: SupabaseStorage
) -> None:
    etag = {"ETag": f'"{hashlib.md5(b"data").hexdigest()}"'}
    supabase.get(OBJECT, body=b"longer and wrong", headers=etag)
    supabase.get(OBJECT, body=requests.ConnectionError())
    supabase.get(OBJECT, body=b"data", headers=etag)
    with storage.open(DOCUMENT) as file:
        assert file.read() == b"data"


def test_a_file_that_stays_damaged_is_refused(supabase: responses.RequestsMock, storage: SupabaseStorage) -> None:
    supabase.get(OBJECT, body=b"data", headers={"ETag": f'"{hashlib.md5(b"other").hexdigest()}"'})
    with pytest.raises(PermanentError) as caught:
        storage.open(DOCUMENT)
    assert caught.value.code == "storage.corrupt"


# ── listing ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def lists(supabase: responses.RequestsMock, keys: list[str], *, cap: int = 1000) -> None:
    """Lists as the real server does: one folder at a time, folders without an id, at most ``cap`` entries."""

    def answer(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        wanted = json.loads(request.body or b"")
        folder = wanted["prefix"] + "/" if wanted["prefix"] else ""
        below = [key[len(folder) :] for key in keys if key.startswith(folder)]
        names = sorted({name.partition("/")[0] for name in below})
        entries = [{"name": name, "id": "9f1c" if name in below else None} for name in names]
        first = wanted["offset"]
        return 200, {}, json.dumps(entries[first : first + min(cap, wanted["limit"])])

    supabase.add_callback("POST", LIST, answer)


def test_a_listing_tells_size_and_age_without_a_request_per_object(
    supabase: responses.RequestsMock, storage: SupabaseStorage
) -> None:
    told: list[dict[str, object]] = [
        {"name": "1.pdf", "id": "9f1c", "updated_at": "2001-01-02T03:04:05.5Z", "metadata": {"size": 7}},
        {"name": "2.pdf", "id": "9f1d", "created_at": "2001-01-02T03:04:35", "metadata": None},
        {"name": "3.pdf", "id": "9f1e", "updated_at": "yesterday", "metadata": {"size": "many"}},
        {"name": "4.pdf", "id": "9f1f", "updated_at": None},
    ]
    date = {"Date": "Tue, 02 Jan 2001 03:05:35 GMT"}
    supabase.post(LIST, json=told, headers=date)
    supabase.post(LIST, json=[], headers=date)
    found = list(storage.objects("raw/ada/"))
    assert [(one.key, one.size, one.age) for one in found] == [
        ("raw/ada/1.pdf", 7, 89.5),
        ("raw/ada/2.pdf", 0, 60.0),
        ("raw/ada/3.pdf", 0, 0.0),
        ("raw/ada/4.pdf", 0, 0.0),
    ]
    assert len(supabase.calls) == 2


def keys(storage: SupabaseStorage, prefix: str) -> list[str]:
    return [found.key for found in storage.objects(prefix)]


KEPT = ["parsed/ada/1.json", "parsed/ada/1.md", "raw/ada/1.pdf", "raw/adam/3.md", "raw/bob/2.txt"]


@pytest.mark.parametrize("prefix", ["", "raw", "raw/", "raw/ada", "raw/ada/", "raw/ada/1", "raw/ada/1.pdf", "x/", "p"])
@pytest.mark.parametrize("cap", [1, 2, 1000])
def test_keys_are_those_that_begin_with_the_prefix(
    supabase: responses.RequestsMock, storage: SupabaseStorage, prefix: str, cap: int
) -> None:
    lists(supabase, KEPT, cap=cap)
    assert keys(storage, prefix) == [key for key in KEPT if key.startswith(prefix)]


def test_keys_go_through_every_page(supabase: responses.RequestsMock, storage: SupabaseStorage) -> None:
    many = [f"raw/ada/{number:05}.pdf" for number in range(2500)]
    lists(supabase, many)
    assert keys(storage, "raw/") == many


def test_keys_may_be_deleted_while_they_are_read(supabase: responses.RequestsMock, storage: SupabaseStorage) -> None:
    left = [f"raw/ada/{number}.pdf" for number in range(10)]
    lists(supabase, left, cap=3)
    for found in storage.objects("raw/"):
        left.remove(found.key)
    assert left == []


def test_files_that_the_dashboard_puts_into_folders_are_no_keys(
    supabase: responses.RequestsMock, storage: SupabaseStorage
) -> None:
    lists(supabase, ["raw/.emptyFolderPlaceholder", "raw/ada/1.pdf"])
    assert keys(storage, "raw/") == ["raw/ada/1.pdf"]


@pytest.mark.parametrize("body", ["<html>", "{}", "[1]", '[{"id": null}]'])
def test_a_listing_that_is_none_is_no_end(
    supabase: responses.RequestsMock, storage: SupabaseStorage, body: str
) -> None:
    supabase.post(LIST, body=body)
    with pytest.raises(TransientError):
        list(storage.objects("raw/"))


# ── exists, age, check ────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_object_exists_and_its_age_is_by_the_servers_clock(
    supabase: responses.RequestsMock, storage: SupabaseStorage
) -> None:
    headers = {"Last-Modified": "Tue, 02 Jan 2001 03:04:05 GMT", "Date": "Tue, 02 Jan 2001 03:05:35 GMT"}
    supabase.head(OBJECT, headers=headers)
    assert storage.exists(DOCUMENT)
    assert storage.age(DOCUMENT) == 90


@pytest.mark.parametrize("headers", [{}, {"Last-Modified": "yesterday"}])
def test_an_object_without_a_date_is_young(
    supabase: responses.RequestsMock, storage: SupabaseStorage, headers: dict[str, str]
) -> None:
    supabase.head(OBJECT, headers=headers)
    assert storage.age(DOCUMENT) == 0


def test_check_names_the_bucket_and_its_host(supabase: responses.RequestsMock, storage: SupabaseStorage) -> None:
    supabase.get(BUCKET, json={"id": "papers", "public": False})
    assert storage.check() == "bucket papers at project.supabase.test"


def test_check_tells_of_a_bucket_that_everybody_can_read(
    supabase: responses.RequestsMock, storage: SupabaseStorage
) -> None:
    supabase.get(BUCKET, json={"id": "papers", "public": True})
    assert "PUBLIC" in storage.check()


@pytest.mark.parametrize(("status", "body"), [(200, "<html>Welcome</html>"), (404, "<html>"), (200, "{}"), (400, "")])
def test_check_tells_of_an_address_that_is_not_supabase(
    supabase: responses.RequestsMock, storage: SupabaseStorage, status: int, body: str
) -> None:
    supabase.get(BUCKET, status=status, body=body)
    with pytest.raises(ConfigError, match="SUPABASE_URL"):
        storage.check()
