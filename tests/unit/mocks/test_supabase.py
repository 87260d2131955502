"""The mock storage answers as Supabase Storage does, oddities included, and keeps what it was given."""

from __future__ import annotations

import hashlib
import signal
import socket
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.unit.mocks.storage_checks import BYTES, ask, put, told

NO_BUCKET = (400, "404", "Bucket not found", "Bucket not found")
NO_OBJECT = (400, "404", "not_found", "Object not found")
ETAG = f'"{hashlib.md5(BYTES).hexdigest()}"'


@pytest.fixture
def bucket(server: Any) -> str:
    """A bucket of the test's own."""
    name = f"papers-{uuid4()}"
    assert ask(server, "POST", "bucket", json={"name": name}).json() == {"name": name}
    return name


def names(server: Any, bucket: str, prefix: str, **more: Any) -> list[str]:
    """What a listing of a folder shows."""
    answer = ask(server, "POST", f"object/list/{bucket}", json={"prefix": prefix, **more})
    assert answer.status_code == 200
    return [entry["name"] for entry in answer.json()]


# ── buckets and keys ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_bucket_docproc_is_there_from_the_beginning_and_private(server: Any) -> None:
    shown = ask(server, "GET", "bucket/docproc").json()
    assert (shown["id"], shown["name"], shown["public"]) == ("docproc", "docproc", False)
    assert "docproc" in [one["id"] for one in ask(server, "GET", "bucket").json()]


def test_a_bucket_is_made_once(server: Any, bucket: str) -> None:
    again = told(ask(server, "POST", "bucket", json={"name": bucket}))
    assert again == (400, "409", "Duplicate", "The resource already exists")
    assert told(ask(server, "POST", "bucket", json={"name": "a/b"}))[3] == "Bucket name invalid"
    assert told(ask(server, "GET", "bucket/nothing")) == NO_BUCKET


def test_a_wrong_key_is_told_so_unless_it_reads(server: Any) -> None:
    put(server, "raw/a.txt")
    wrong = {"Authorization": "Bearer bad-key"}
    for method, path in (
        ("GET", "bucket/docproc"),
        ("POST", "object/docproc/raw/a.txt"),
        ("POST", "object/list/docproc"),
    ):
        assert told(ask(server, method, path, headers=wrong)) == (400, "403", "Unauthorized", "jwt malformed")
    assert told(ask(server, "GET", "object/docproc/raw/a.txt", headers=wrong)) == NO_BUCKET
    assert told(ask(server, "GET", "object/info/docproc/raw/a.txt", headers=wrong)) == NO_BUCKET
    assert ask(server, "HEAD", "object/docproc/raw/a.txt", headers=wrong).status_code == 400


def test_a_request_without_a_key_is_refused(server: Any) -> None:
    answer = server.http.get("/storage/v1/bucket/docproc")
    assert told(answer)[3] == "headers must have required property 'authorization'"


def test_a_public_bucket_is_read_without_a_key(server: Any) -> None:
    name = f"open-{uuid4()}"
    ask(server, "POST", "bucket", json={"name": name, "public": True})
    put(server, "a.txt", bucket=name)
    assert server.http.get(f"/storage/v1/object/{name}/a.txt").content == BYTES


# ── objects ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_uploaded_comes_back_with_its_md5_its_date_and_its_type(server: Any, bucket: str) -> None:
    answer = put(server, "raw/ada@example.com/1.txt", BYTES, bucket=bucket, **{"cache-control": "no-cache"})
    assert answer.status_code == 200
    assert answer.json()["Key"] == f"{bucket}/raw/ada@example.com/1.txt"
    for path in ("object", "object/authenticated"):
        for method, body in (("GET", BYTES), ("HEAD", b"")):
            got = ask(server, method, f"{path}/{bucket}/raw/ada%40example.com/1.txt")
            assert (got.status_code, got.content) == (200, body)
            assert (got.headers["etag"], got.headers["content-length"]) == (ETAG, str(len(BYTES)))
            assert (got.headers["content-type"], got.headers["cache-control"]) == ("text/plain", "no-cache")
            assert abs(time.time() - parsedate_to_datetime(got.headers["last-modified"]).timestamp()) < 60
    info = ask(server, "GET", f"object/info/{bucket}/raw/ada@example.com/1.txt").json()
    assert (info["id"], info["size"], info["etag"]) == (answer.json()["Id"], len(BYTES), ETAG)


def test_the_same_path_twice_is_a_duplicate_unless_it_is_to_replace(server: Any, bucket: str) -> None:
    put(server, "a.txt", bucket=bucket)
    again = told(put(server, "a.txt", b"other", bucket=bucket, **{"x-upsert": "false"}))
    assert again == (400, "409", "Duplicate", "The resource already exists")
    assert ask(server, "GET", f"object/{bucket}/a.txt").content == BYTES
    put(server, "a.txt", b"other", bucket=bucket)
    assert ask(server, "GET", f"object/{bucket}/a.txt").content == b"other"
    ask(server, "PUT", f"object/{bucket}/a.txt", content=b"third")
    assert ask(server, "GET", f"object/{bucket}/a.txt").content == b"third"


def test_a_form_is_an_upload_too(server: Any, bucket: str) -> None:
    form = {"files": {"file": ("1.txt", BYTES, "text/plain")}, "data": {"cacheControl": "60"}}
    assert ask(server, "POST", f"object/{bucket}/a.txt", **form).status_code == 200
    got = ask(server, "GET", f"object/{bucket}/a.txt")
    assert (got.content, got.headers["cache-control"]) == (BYTES, "max-age=60")


def test_a_missing_object_is_a_400_that_says_404_inside(server: Any, bucket: str) -> None:
    for method, path in (
        ("GET", "object"),
        ("GET", "object/authenticated"),
        ("GET", "object/info"),
        ("DELETE", "object"),
    ):
        assert told(ask(server, method, f"{path}/{bucket}/nothing.txt")) == NO_OBJECT
    head = ask(server, "HEAD", f"object/{bucket}/nothing.txt")
    assert (head.status_code, head.content) == (400, b"")
    assert told(ask(server, "GET", "object/nothing/a.txt")) == NO_BUCKET
    assert told(put(server, "a.txt", bucket="nothing")) == NO_BUCKET


@pytest.mark.parametrize("name", ["raw/ä.txt", "raw/a%23b.txt", "raw/a%25b.txt", "raw/[1].txt"])
def test_names_with_other_characters_than_the_service_takes_are_refused(server: Any, bucket: str, name: str) -> None:
    assert told(put(server, name, bucket=bucket))[1:3] == ("400", "InvalidKey")
    assert names(server, bucket, "") == []


def test_a_bucket_may_limit_size_and_type(server: Any) -> None:
    name = f"small-{uuid4()}"
    limits = {"file_size_limit": 4, "allowed_mime_types": ["text/plain"]}
    ask(server, "POST", "bucket", json={"name": name, **limits})
    assert told(put(server, "a.txt", b"12345", bucket=name))[1:3] == ("413", "Payload too large")
    assert told(put(server, "a.txt", b"1", bucket=name, **{"content-type": "image/png"}))[1:3] == (
        "415",
        "invalid_mime_type",
    )
    assert (
        put(server, "a.txt", b"1234", bucket=name, **{"content-type": "text/plain; charset=utf-8"}).status_code == 200
    )


def test_objects_are_deleted_one_by_one_or_together(server: Any, bucket: str) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        put(server, name, bucket=bucket)
    assert ask(server, "DELETE", f"object/{bucket}/a.txt").json() == {"message": "Successfully deleted"}
    gone = ask(server, "DELETE", f"object/{bucket}", json={"prefixes": ["b.txt", "nothing.txt"]}).json()
    assert [one["name"] for one in gone] == ["b.txt"]
    assert names(server, bucket, "") == ["c.txt"]


# ── listings ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_listing_shows_one_folder_and_folders_have_no_id(server: Any, bucket: str) -> None:
    for name in ("raw/ada/1.txt", "raw/ada/2.txt", "raw/bob/1.txt", "raw/note.txt", "rawer.txt"):
        put(server, name, bucket=bucket)
    assert names(server, bucket, "") == ["raw", "rawer.txt"]
    assert names(server, bucket, "raw") == names(server, bucket, "raw/") == ["ada", "bob", "note.txt"]
    assert names(server, bucket, "raw/a") == []
    folder, _, note = ask(server, "POST", f"object/list/{bucket}", json={"prefix": "raw"}).json()
    assert [folder[key] for key in ("id", "created_at", "updated_at", "metadata")] == [None] * 4
    assert note["id"]
    assert note["updated_at"].endswith("Z")
    assert {key: note["metadata"][key] for key in ("eTag", "size", "contentLength", "mimetype")} == {
        "eTag": ETAG,
        "size": len(BYTES),
        "contentLength": len(BYTES),
        "mimetype": "text/plain",
    }


def test_a_listing_comes_by_pages_in_either_order(server: Any, bucket: str) -> None:
    every = [f"{number:03}.txt" for number in range(120)]
    for name in every:
        put(server, name, b"", bucket=bucket)
    assert names(server, bucket, "") == every[:100]
    assert names(server, bucket, "", offset=100) == every[100:]
    assert names(server, bucket, "", limit=7, offset=5) == every[5:12]
    assert names(server, bucket, "", limit=2, sortBy={"column": "name", "order": "desc"}) == ["119.txt", "118.txt"]
    assert names(server, bucket, "", limit=2, sortBy={"column": "created_at"}) == every[:2]
    assert (
        ask(server, "POST", f"object/list/{bucket}", json={"prefix": "", "sortBy": {"column": "x"}}).status_code == 400
    )


def test_an_object_can_be_made_old(server: Any, bucket: str) -> None:
    put(server, "raw/a.txt", bucket=bucket)
    assert server.http.put(f"/mock/objects/{bucket}/raw/a.txt", json={"age": 4000}).status_code == 204
    head = ask(server, "HEAD", f"object/{bucket}/raw/a.txt")
    assert 3990 < time.time() - parsedate_to_datetime(head.headers["last-modified"]).timestamp() < 4060
    assert server.http.put(f"/mock/objects/{bucket}/raw/a.txt", json={"old": 1}).status_code == 400


def test_a_bucket_made_at_the_desk_stays_what_it_was(server: Any) -> None:
    name = f"desk-{uuid4()}"
    for _ in range(2):
        assert server.http.put(f"/mock/buckets/{name}").status_code == 204
        put(server, "a.txt", bucket=name)
    assert names(server, name, "") == ["a.txt"]


def test_a_listing_does_not_tell_upper_from_lower_case(server: Any, bucket: str) -> None:
    for name in ("raw/Ada/1.txt", "raw/ada/2.txt"):
        put(server, name, bucket=bucket)
    assert names(server, bucket, "raw") == ["Ada"]
    assert names(server, bucket, "raw/ada") == ["1.txt", "2.txt"]


def test_a_bucket_that_is_missing_is_listed_as_empty(server: Any) -> None:
    assert names(server, "nothing", "") == []


# ── what outlives what ────────────────────────────────────────────────────────────────────────────────────────────────


def test_objects_outlive_a_killed_server(start: Any, tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    first = start("--state", str(state))
    put(first, "raw/a.txt", b"what is replaced")
    put(first, "raw/a.txt")
    first.stop(signal.SIGKILL)
    (tmp_path / "state.db-objects" / "left-behind").write_bytes(b"half")
    second = start("--state", str(state))
    assert ask(second, "GET", "object/docproc/raw/a.txt").content == BYTES
    assert len(list((tmp_path / "state.db-objects").iterdir())) == 1


def test_a_client_that_dies_in_an_upload_leaves_no_half_object(start: Any, tmp_path: Path) -> None:
    server = start("--state", str(tmp_path / "state.db"))
    put(server, "raw/a.txt")
    parts = urlsplit(server.url)
    folder = tmp_path / "state.db-objects"
    with socket.create_connection((str(parts.hostname), parts.port or 0)) as client:
        head = "POST /storage/v1/object/docproc/raw/a.txt HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer any\r\n"
        client.sendall(f"{head}x-upsert: true\r\nContent-Length: 1000\r\n\r\n".encode() + b"x" * 500)
        _wait(lambda: len(list(folder.iterdir())) == 2)
    _wait(lambda: len(list(folder.iterdir())) == 1)
    assert ask(server, "GET", "object/docproc/raw/a.txt").content == BYTES


def test_objects_of_a_server_without_a_state_file_end_with_it(start: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    server = start()
    put(server, "raw/a.txt")
    assert len(list(tmp_path.iterdir())) == 1
    assert server.stop() == 0
    assert list(tmp_path.iterdir()) == []


def _wait(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
