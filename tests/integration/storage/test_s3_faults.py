"""Holds the S3 backend to docproc's errors for what a store, or the way to it, does wrong."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from docproc.errors import (
    ConfigError,
    CredentialsError,
    DocprocError,
    PermanentError,
    QuotaError,
    TransientError,
)
from docproc.settings import Secret
from docproc.storage import Storage
from docproc.storage.s3 import TRIES, S3Storage
from docproc.storage.s3_api import PART, RETRIES, Key, Place, S3Api
from tests.integration.storage.scripted import Say, Scripted, error, scripted, whole

DOCUMENT = "raw/default/0b8f.pdf"
ACCESS, SECRET = "AKIA-ECHO", "secret-ECHO"
KEY = Key(Secret(ACCESS), Secret(SECRET))
SHA = hashlib.sha256(b"data").hexdigest()
NOTHING = Say(200, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")

Call = Callable[[Storage], object]
CALLS: dict[str, Call] = {
    "write": lambda storage: storage.write(DOCUMENT, b"data"),
    "read": lambda storage: storage.read(DOCUMENT),
    "open": lambda storage: storage.open(DOCUMENT).close(),
    "exists": lambda storage: storage.exists(DOCUMENT),
    "delete": lambda storage: storage.delete(DOCUMENT),
    "age": lambda storage: storage.age(DOCUMENT),
    "objects": lambda storage: list(storage.objects("raw/")),
    "check": lambda storage: storage.check(),
}


@pytest.fixture
def service() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


@pytest.fixture
def storage(service: Scripted) -> S3Storage:
    return at(service.address)


@pytest.fixture(params=list(CALLS))
def call(request: pytest.FixtureRequest) -> Call:
    return CALLS[request.param]


def at(address: str, key: Key | None = KEY) -> S3Storage:
    return S3Storage(S3Api(Place("papers", address), key, pause=timedelta(milliseconds=5)))


# ── troubles that pass ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("trouble", [Say(503), Say(500), error(503, "SlowDown"), Say(429)])
def test_a_passing_trouble_is_not_noticed(service: Scripted, storage: S3Storage, trouble: Say) -> None:
    service.say = [trouble] * RETRIES + [whole(b"data", SHA)]
    assert storage.read(DOCUMENT) == b"data"
    assert len(service.asked) == RETRIES + 1
    service.say = [trouble] * RETRIES + [Say(200, headers={"ETag": '"1"'})]
    storage.write(DOCUMENT, b"data")
    assert service.asked[-1].body == b"data"


@pytest.mark.parametrize("trouble", [Say(503), error(503, "SlowDown"), Say(500), Say(429), Say(409)])
def test_a_trouble_that_stays_is_the_jobs_backoff(
    service: Scripted, storage: S3Storage, call: Call, trouble: Say
) -> None:
    service.say = [trouble]
    with pytest.raises(TransientError) as caught:
        call(storage)
    assert caught.value.code == "storage.unavailable"
    assert str(trouble.status) in caught.value.why
    assert len(service.asked) == (1 if trouble.status == 409 else RETRIES + 1)


def test_an_address_where_nothing_listens_is_unavailable(call: Call) -> None:
    with scripted() as ended:
        address = ended.address
    with pytest.raises(TransientError) as caught:
        call(at(address))
    assert caught.value.why == "no connection"


@pytest.mark.parametrize("method", ["read", "open"])
def test_a_body_that_is_cut_off_is_fetched_again(service: Scripted, storage: S3Storage, method: str) -> None:
    good = whole(b"data", SHA)
    head = [good] if method == "open" else []
    service.say = [*head, Say(good.status, good.body, good.headers, cut=2), good]
    got = CALLS[method](storage) if method == "open" else storage.read(DOCUMENT)
    assert got in (None, b"data")
    assert len(service.asked) == len(head) + 2


def test_a_body_that_is_cut_off_every_time_is_no_object(service: Scripted, storage: S3Storage) -> None:
    good = whole(b"data", SHA)
    service.say = [Say(good.status, good.body, good.headers, cut=0)]
    with pytest.raises(TransientError):
        storage.read(DOCUMENT)


# ── wrong bytes ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["read", "open"])
def test_bytes_that_are_not_what_was_stored_are_read_again_and_then_refused(
    service: Scripted, storage: S3Storage, method: str
) -> None:
    service.say = [whole(b"dat?", SHA)]
    with pytest.raises(PermanentError) as caught:
        CALLS[method](storage)
    assert caught.value.code == "storage.corrupt"
    assert len(service.asked) == TRIES * (2 if method == "open" else 1)


def test_bytes_damaged_on_the_way_are_read_again(service: Scripted, storage: S3Storage) -> None:
    service.say = [whole(b"dat?", SHA), whole(b"data", SHA)]
    assert storage.read(DOCUMENT) == b"data"
    good, bad = whole(b"data", SHA), whole(b"longer and wrong", SHA)
    service.say = [bad, bad, good, good]
    with storage.open(DOCUMENT) as file:
        assert file.read() == b"data"


def test_an_object_that_others_put_there_has_no_sha_and_is_read(service: Scripted, storage: S3Storage) -> None:
    service.say = [Say(200, b"data", {"ETag": '"1"', "Last-Modified": "Tue, 02 Jan 2001 03:04:05 GMT"})]
    assert storage.read(DOCUMENT) == b"data"


def test_a_large_object_is_fetched_in_parts_of_one_version(service: Scripted, storage: S3Storage) -> None:
    data = bytes(range(256)) * (PART // 100)
    service.say = [whole(data, hashlib.sha256(data).hexdigest())]
    with storage.open(DOCUMENT) as file:
        assert file.read() == data
    parts = [asked for asked in service.asked if asked.method == "GET"]
    assert len(parts) == -(-len(data) // PART)
    assert {asked.headers["if-match"] for asked in parts} == {'"1"'}


def test_an_object_that_is_replaced_while_it_is_read_is_read_again_later(service: Scripted, storage: S3Storage) -> None:
    service.say = [whole(b"data", SHA), error(412, "PreconditionFailed")]
    with pytest.raises(TransientError):
        storage.open(DOCUMENT)


def test_an_upload_in_parts_that_fails_is_taken_back(service: Scripted, storage: S3Storage) -> None:
    begun = b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
    service.say = [Say(200, begun), Say(503)]
    with storage.draft() as draft, pytest.raises(TransientError):
        draft.write(bytes(PART + 1))
        draft.keep(DOCUMENT)
    assert ("DELETE", f"/papers/{DOCUMENT}?uploadId=u1") in [(asked.method, asked.path) for asked in service.asked]


def test_the_lost_answer_to_the_last_request_of_an_upload_is_no_refusal(service: Scripted, storage: S3Storage) -> None:
    begun = b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
    part = Say(200, headers={"ETag": '"1"'})
    service.say = [Say(200, begun), part, part, error(404, "NoSuchUpload")]
    with storage.draft() as draft, pytest.raises(TransientError):
        draft.write(bytes(PART + 1))
        draft.keep(DOCUMENT)


# ── keys, buckets, regions, money ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "InvalidAccessKeyId"),
        (403, "SignatureDoesNotMatch"),
        (403, "AccessDenied"),
        (401, "Unauthorized"),
        (400, "ExpiredToken"),
        (403, "RequestTimeTooSkewed"),
    ],
)
def test_a_refused_key_stops_the_run(service: Scripted, storage: S3Storage, call: Call, status: int, code: str) -> None:
    service.say = [error(status, code)]
    with pytest.raises(CredentialsError) as caught:
        call(storage)
    assert caught.value.code == "credentials.storage"
    assert caught.value.remedy
    assert len(service.asked) <= 2


def test_a_missing_bucket_is_a_matter_of_configuration(service: Scripted, storage: S3Storage, call: Call) -> None:
    service.say = [error(404, "NoSuchBucket")]
    with pytest.raises(ConfigError, match="no bucket papers"):
        call(storage)


@pytest.mark.parametrize("say", [error(301, "PermanentRedirect"), error(400, "AuthorizationHeaderMalformed")])
def test_a_bucket_of_another_region_is_a_matter_of_configuration(
    service: Scripted, storage: S3Storage, call: Call, say: Say
) -> None:
    service.say = [say]
    with pytest.raises(ConfigError, match="region") as caught:
        call(storage)
    assert "region" in caught.value.remedy


@pytest.mark.parametrize("say", [error(403, "QuotaExceeded"), error(403, "AccountProblem"), Say(402)])
def test_a_used_up_quota_stops_the_run(service: Scripted, storage: S3Storage, say: Say) -> None:
    service.say = [say]
    with pytest.raises(QuotaError):
        storage.write(DOCUMENT, b"data")


@pytest.mark.parametrize(("status", "code"), [(400, "EntityTooLarge"), (413, "EntityTooLarge"), (400, "InvalidDigest")])
def test_an_object_that_the_store_does_not_take_fails_its_job_alone(
    service: Scripted, storage: S3Storage, status: int, code: str
) -> None:
    service.say = [error(status, code)]
    with pytest.raises(PermanentError) as caught:
        storage.write(DOCUMENT, b"data")
    assert caught.value.code == "storage.rejected"
    assert caught.value.why == f"HTTP {status} {code}"
    assert len(service.asked) == 1


def test_what_is_written_together_is_judged_one_by_one(service: Scripted, storage: S3Storage) -> None:
    service.say = [error(400, "EntityTooLarge"), Say(200, headers={"ETag": '"1"'})]
    errors = storage.write_all([(f"raw/default/{number}.md", b"data") for number in range(5)])
    refused = [found for found in errors if found is not None]
    assert [found.code for found in refused] == ["storage.rejected"]
    assert len(service.asked) == 5


def test_a_refused_key_stops_what_is_written_together(service: Scripted, storage: S3Storage) -> None:
    service.say = [error(403, "AccessDenied")]
    with pytest.raises(CredentialsError):
        storage.write_all([(f"raw/default/{number}.md", b"data") for number in range(100)])
    assert len(service.asked) < 100


# ── missing, and what only looks so ───────────────────────────────────────────────────────────────────────────────────


def test_a_404_without_a_code_is_believed_when_there_is_a_bucket(service: Scripted, storage: S3Storage) -> None:
    service.say = [Say(404), NOTHING]
    assert not storage.exists(DOCUMENT)
    assert [asked.method for asked in service.asked] == ["HEAD", "GET"]


@pytest.mark.parametrize("method", ["read", "open", "exists", "write", "delete", "check"])
def test_a_server_that_knows_nothing_is_no_store_without_objects(
    service: Scripted, storage: S3Storage, method: str
) -> None:
    service.say = [Say(404, b"<html>not here</html>")]
    with pytest.raises(ConfigError, match="S3 store"):
        CALLS[method](storage)


@pytest.mark.parametrize("method", ["open", "exists", "age", "check"])
def test_a_server_that_says_yes_to_all_is_no_store(service: Scripted, storage: S3Storage, method: str) -> None:
    service.say = [Say(200, b"<html>Welcome</html>")]
    with pytest.raises(ConfigError, match="S3 store"):
        CALLS[method](storage)


def test_a_head_that_is_refused_without_a_code_asks_for_the_bucket(service: Scripted, storage: S3Storage) -> None:
    service.say = [Say(400), error(400, "ExpiredToken")]
    with pytest.raises(CredentialsError):
        storage.exists(DOCUMENT)


# ── what is sent, and never shown ─────────────────────────────────────────────────────────────────────────────────────


def test_an_upload_is_signed_and_names_its_type_and_its_sha(service: Scripted, storage: S3Storage) -> None:
    service.say = [Say(200, headers={"ETag": '"1"'})]
    storage.write(DOCUMENT, b"data")
    (asked,) = service.asked
    headers = asked.headers
    assert asked.path == f"/papers/{DOCUMENT}"
    assert headers["content-type"] == "application/pdf"
    assert headers["cache-control"] == "no-cache"
    assert headers["x-amz-meta-sha256"] == headers["x-amz-content-sha256"] == SHA
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 ")


@pytest.mark.parametrize(
    "say",
    [
        error(403, "SignatureDoesNotMatch"),
        error(404, "NoSuchKey"),
        error(400, "InvalidRequest"),
        error(503, "SlowDown"),
        error(301, "PermanentRedirect"),
        error(400, SECRET),
        Say(200, b"AKIA-ECHO secret-ECHO"),
        Say(403, b"AKIA-ECHO secret-ECHO"),
    ],
)
def test_no_exception_shows_the_key(service: Scripted, storage: S3Storage, call: Call, say: Say) -> None:
    service.say = [say]
    caught = None
    try:
        call(storage)
    except DocprocError as found:
        caught = found
    if caught is not None:
        shown = "".join(traceback.format_exception(caught))
        shown += str(caught) + repr(caught) + repr(vars(caught))
        assert ACCESS not in shown
        assert SECRET not in shown
        assert caught.__cause__ is None
        assert caught.__context__ is None


def test_objects_are_deleted_one_by_one_because_not_every_store_knows_the_request_for_many(
    service: Scripted, storage: S3Storage
) -> None:
    service.say = [Say(204)]
    storage.delete(DOCUMENT)
    assert [(asked.method, asked.path) for asked in service.asked] == [("DELETE", f"/papers/{DOCUMENT}")]


def test_neither_the_storage_nor_its_parts_show_the_key(service: Scripted, storage: S3Storage) -> None:
    service.say = [whole(b"data", SHA)]
    storage.read(DOCUMENT)
    api = storage._api
    store = api._store
    parts = [storage, vars(storage), api, vars(api), store, store.config, store.client_options, api._key]
    assert not [part for part in parts if SECRET in f"{part} {part!r}"]


def test_a_machine_without_key_and_role_is_told_what_to_set(service: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", service.address)
    service.say = [Say(404)]
    with pytest.raises(CredentialsError, match="no key for the storage") as caught:
        at("http://127.0.0.1:1", key=None).check()
    assert "AWS_ACCESS_KEY_ID" in caught.value.remedy


def test_a_role_gives_the_key_where_there_is_none(service: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", service.address)
    given = b"""{"AccessKeyId": "AKIA-ROLE", "SecretAccessKey": "of-the-role", "Token": "t", "Code": "Success",
        "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z", "Expiration": "2099-01-01T00:00:00Z"}"""
    service.say = [Say(200, b"a-token"), Say(200, b"a-role"), Say(200, given), whole(b"data", SHA)]
    assert at(service.address, key=None).read(DOCUMENT) == b"data"
    assert "Credential=AKIA-ROLE/" in service.asked[-1].headers["authorization"]
