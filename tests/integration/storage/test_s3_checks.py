"""Holds validate-deploy to what it says of a storage at S3, each trouble at its own check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from docproc.checks import Deployment, asking
from docproc.checks.storage import CHECKS
from docproc.settings import Secret, Settings, StorageSettings
from tests.conftest import MakeApp
from tests.integration.storage.scripted import Say, Scripted, error, scripted
from tests.support_storage import S3Server

EMPTY = Say(200, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
ONE = Say(
    200,
    b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>raw/ada/1.pdf</Key><Size>4</Size>"
    b"<LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>1</ETag></Contents></ListBucketResult>",
)
THERE = Say(200, b"", {"ETag": '"1"', "Last-Modified": "Fri, 02 Jan 2026 03:04:05 GMT"})

Found = dict[str, tuple[str, str]]
Looks = Callable[..., Found]


@pytest.fixture
def service() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


@pytest.fixture
def looks(settings: Settings, make_app: MakeApp) -> Looks:
    """Level and words of every check of a storage at S3 that stands at an address, with a key or half of one."""

    def look(address: str, *, secret: str | None = "secret", bucket: str = "papers") -> Found:
        half = None if secret is None else Secret(secret)
        secrets = replace(settings.secrets, aws_access_key_id=Secret("AKIA"), aws_secret_access_key=half)
        app = make_app(secrets=secrets, storage=StorageSettings("s3", bucket, address))
        asked = tuple(
            replace(check, needs=tuple(need for need in check.needs if "storage" in need)) for check in CHECKS
        )
        return {result.check.id: (result.level, result.finding.seen) for result in asking.run(Deployment(app), asked)}

    return look


def levels(found: Found) -> dict[str, str]:
    return {id_.removeprefix("storage."): level for id_, (level, _) in found.items()}


def test_a_bucket_that_is_closed_to_others_is_well(service: Scripted, looks: Looks) -> None:
    # Asked for the bucket three times, by a listing and a HEAD; then for an object, with the key and without.
    service.say = [EMPTY, Say(404), EMPTY] * 2 + [ONE, error(403, "AccessDenied")]
    found = looks(service.address)
    assert levels(found) == {"configured": "ok", "key": "ok", "bucket": "ok", "private": "ok"}, found
    assert "authorization" not in service.asked[-1].headers


def test_a_bucket_that_everybody_can_read_is_told(service: Scripted, looks: Looks) -> None:
    service.say = [EMPTY, Say(404), EMPTY] * 2 + [ONE, THERE]
    found = looks(service.address)
    assert levels(found) == {"configured": "ok", "key": "ok", "bucket": "ok", "private": "warn"}, found
    assert "PUBLIC" in found["storage.private"][1]


def test_half_a_key_is_a_matter_of_configuration(service: Scripted, looks: Looks) -> None:
    found = looks(service.address, secret=None)
    assert levels(found) == {"configured": "error", "key": "skip", "bucket": "skip", "private": "skip"}, found
    assert "AWS_SECRET_ACCESS_KEY" in found["storage.configured"][1]
    assert not service.asked


def test_a_refused_key_is_told_as_that(service: Scripted, looks: Looks) -> None:
    service.say = [error(403, "InvalidAccessKeyId")]
    found = looks(service.address)
    assert levels(found) == {"configured": "ok", "key": "error", "bucket": "skip", "private": "skip"}, found
    assert "InvalidAccessKeyId" in found["storage.key"][1]


def test_a_bucket_that_is_missing_is_told_as_that(s3: S3Server, looks: Looks) -> None:
    found = looks(s3.address, bucket="nowhere")
    assert levels(found) == {"configured": "ok", "key": "ok", "bucket": "error", "private": "skip"}, found
    assert "nowhere" in found["storage.bucket"][1]


def test_an_empty_bucket_of_a_real_server_is_well(s3: S3Server, looks: Looks) -> None:
    found = looks(s3.address, bucket=s3.make_bucket("looked-at"))
    assert levels(found) == {"configured": "ok", "key": "ok", "bucket": "ok", "private": "ok"}, found
    assert found["storage.private"][1] == "no object to try it with"
