"""Whichever of the vendor's SDKs is installed, docproc submits, polls, fetches, cancels and finds in the same way."""

from __future__ import annotations

import io
import json
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import metadata
from uuid import uuid4

import pytest

from docproc.errors import ConfigError, CredentialsError, DocprocError, PermanentError, TransientError
from docproc.parsers import Parser, Progress, open_parser
from docproc.settings import Settings
from tests.integration.parsers.canned import Canned
from tests.integration.parsers.service import PAGES, PDF, OpenParser, Service, submit
from tests.support import Mocks

SECRET = "llx-" + "k" * 48
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
OPERATIONS: dict[str, Callable[[Parser], object]] = {
    "upload": lambda parser: parser.upload(io.BytesIO(PDF), "a.pdf", "ref-1"),
    "submit": lambda parser: parser.submit("dfl-1", "ref-1", fresh=False),
    "poll": lambda parser: parser.poll("pjb-1"),
    "fetch": lambda parser: parser.fetch("pjb-1"),
    "cancel": lambda parser: parser.cancel("pjb-1"),
    "find": lambda parser: parser.find("ref-1", NOW),
    "check": lambda parser: parser.check(),
}
every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


# ── the happy paths, at the mocks ───────────────────────────────────────────────────────────────────────────────────


def test_a_document_is_parsed_into_its_pages_in_order(service: Service) -> None:
    result = service.parsed()
    assert [page.number for page in result.pages] == list(range(1, PAGES + 1))
    assert all(page.markdown.strip() and page.confidence == 0.99 and page.error is None for page in result.pages)
    assert result.credits == 3 * PAGES
    assert result.parser_version == "2026-09-28"


def test_a_job_is_found_by_its_reference_and_no_other_is(service: Service) -> None:
    ref = f"ref-{uuid4()}"
    job = service.submit(ref=ref)
    service.submit()
    assert service.found(ref) == job
    assert service.found(f"ref-{uuid4()}") is None
    assert service.parser.find(ref, datetime.now(UTC) + timedelta(hours=1)) is None
    assert service.mocks.bill()["jobs_by_client_ref"][ref] == 1


def test_a_running_job_is_cancelled_and_not_billed(service: Service) -> None:
    service.mocks.set_faults("llamaparse.stuck")
    ref = f"ref-{uuid4()}"
    job = service.submit(ref=ref)
    assert service.parser.poll(job) == Progress("waiting", "RUNNING")
    service.parser.cancel(job)
    assert service.parser.poll(job) == Progress("failed", "CANCELLED")
    assert service.mocks.bill()["pages_by_client_ref"][ref] == 0


def test_cancelling_what_has_ended_or_never_was_does_nothing(service: Service) -> None:
    job = service.submit()
    service.ended(job)
    service.parser.cancel(job)
    service.parser.cancel("pjb-unknown")
    assert service.parser.poll(job).state == "ready"


def test_an_unknown_job_is_gone(service: Service) -> None:
    assert service.parser.poll("pjb-unknown") == Progress("gone")
    with pytest.raises(TransientError) as raised:
        service.parser.fetch("pjb-unknown")
    assert raised.value.code == "parse.gone"


def test_the_versions_of_the_tier_are_offered(service: Service) -> None:
    assert service.parser.check() == ("2026-09-28",)


def test_an_address_may_end_in_a_slash(services: Mocks, open_at: OpenParser) -> None:
    assert open_at(services.address + "/").check() == ("2026-09-28",)


@every_operation
def test_a_refused_key_stops_the_program(
    services: Mocks, open_at: OpenParser, operation: Callable[[Parser], object]
) -> None:
    with pytest.raises(CredentialsError) as raised:
        operation(open_at(services.address, key="bad-key"))
    assert (raised.value.code, raised.value.why) == ("credentials.parser", "HTTP 401: Invalid API Key")


# ── what is sent ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_both_sdks_send_the_same_requests(canned: Canned, open_at: OpenParser) -> None:
    canned.will_say({"id": "dfl-1", "name": "a.pdf", "project_id": "p"})
    canned.will_say({"id": "pjb-1", "status": "PENDING", "project_id": "p"})
    parser = open_at(canned.address, key="key-1")
    assert submit(parser, b"%PDF", "ref-1", name="a.pdf", fresh=True) == "pjb-1"
    uploading, submitting = canned.asked
    assert {request.key for request in canned.asked} == {"key-1"}
    assert (uploading.method, uploading.path) == ("POST", "/api/v1/beta/files")
    assert all(part in uploading.body for part in (b'filename="a.pdf"', b"%PDF", b"parse", b"ref-1"))
    assert (submitting.method, submitting.path) == ("POST", "/api/v2/parse")
    assert json.loads(submitting.body) == {
        "file_id": "dfl-1",
        "tier": "cost_effective",
        "version": "2026-09-28",
        "user_metadata": {"client_ref": "ref-1"},
        "disable_cache": True,
    }


def test_a_poll_asks_for_the_state_alone_and_a_fetch_for_the_result(canned: Canned, open_at: OpenParser) -> None:
    canned.will_say({"job": {"id": "pjb-1", "status": "COMPLETED"}, "text": {"pages": []}})
    parser = open_at(canned.address)
    parser.poll("pjb-1")
    parser.fetch("pjb-1")
    parser.poll("../v1/files?")
    assert [request.path for request in canned.asked[:2]] == ["/api/v2/parse/pjb-1"] * 2
    wanted = [set(",".join(request.query.get("expand", [])).split(",")) for request in canned.asked[:2]]
    assert wanted == [{""}, {"markdown", "text", "metadata", "usage"}]
    assert canned.asked[2].path.lower() == "/api/v2/parse/..%2fv1%2ffiles%3f"


def test_the_list_is_read_to_its_last_page(canned: Canned, open_at: OpenParser) -> None:
    canned.will_say({"items": [{"id": "pjb-1", "user_metadata": None}], "next_page_token": "two"})
    canned.will_say({"items": [{"id": "pjb-2", "user_metadata": {"client_ref": "ref-2"}}], "next_page_token": None})
    assert open_at(canned.address).find("ref-2", NOW) == "pjb-2"
    first, second = canned.asked
    assert (first.method, first.path, first.query.get("page_token")) == ("GET", "/api/v2/parse", None)
    assert first.query["created_at_on_or_after"] == ["2026-11-23T08:00:00+00:00"]
    assert second.query["page_token"] == ["two"]


class Watched(io.BytesIO):
    """A file that remembers how much of it was asked for at a time."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.asked: list[int | None] = []

    def read(self, size: int | None = -1, /) -> bytes:
        self.asked.append(size)
        return super().read(size)


def test_a_file_is_uploaded_by_blocks_and_whole(canned: Canned, open_at: OpenParser) -> None:
    canned.will_say({"id": "dfl-1", "name": "a.pdf", "project_id": "p"})
    data = bytes(range(256)) * 20_000
    file = Watched(data)
    file.seek(1000)
    assert open_at(canned.address).upload(file, "a.pdf", "ref-1") == "dfl-1"
    assert data in canned.asked[0].body
    assert len(file.asked) > 10 and all(size is not None and 0 < size <= 1 << 20 for size in file.asked)


def test_the_version_that_the_service_names_is_the_parses_own(canned: Canned, open_at: OpenParser) -> None:
    canned.will_say({"job": {"id": "pjb-1", "status": "COMPLETED", "version": "2026-10-01"}, "text": {"pages": []}})
    assert open_at(canned.address).fetch("pjb-1").parser_version == "2026-10-01"


# ── what is read ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_pages_are_sorted_and_text_stands_in_where_markdown_is_missing_or_known_to_be_bad(
    canned: Canned, open_at: OpenParser
) -> None:
    markdown = [
        {"page_number": 3, "success": True, "markdown": "# Three"},
        {"page_number": 2, "success": True, "markdown": "undefined"},
        {"page_number": 1, "success": True, "markdown": "NO_CONTENT_HERE"},
        {"page_number": 5, "success": False, "error": "too dark"},
    ]
    text = [{"page_number": n, "text": word} for n, word in enumerate(["NO_CONTENT_HERE", "Two", "3", "Four"], 1)]
    scores = [{"page_number": 2, "confidence": 0.5}]
    canned.will_say(
        {
            "job": {"id": "pjb-1", "status": "COMPLETED", "usage": None},
            "markdown": {"pages": markdown},
            "text": {"pages": text},
            "metadata": {"pages": scores},
        }
    )
    result = open_at(canned.address).fetch("pjb-1")
    assert [(p.number, p.markdown, p.error, p.confidence) for p in result.pages] == [
        (1, "", None, None),
        (2, "Two", None, 0.5),
        (3, "# Three", None, None),
        (4, "Four", None, None),
        (5, "", "too dark", None),
    ]
    assert result.credits is None


@pytest.mark.parametrize("operation", ["upload", "submit", "poll", "fetch", "find"])
@pytest.mark.parametrize("body", [{}, [], "null", "<html>Bad Gateway</html>", '{"items": [{', {"items": None}])
def test_an_answer_without_content_may_be_asked_for_again(
    canned: Canned, open_at: OpenParser, operation: str, body: object
) -> None:
    canned.will_say(body)
    with pytest.raises(TransientError) as raised:
        OPERATIONS[operation](open_at(canned.address))
    assert raised.value.code in ("parse.unavailable", "parse.no_result")


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (422, {"detail": "Unsupported file type"}, "HTTP 422: Unsupported file type"),
        (422, {"detail": [{"msg": "a"}, {"msg": "b"}]}, "HTTP 422: a; b"),
        (400, {"detail": None}, "HTTP 400"),
        (413, "<html>Request Entity Too Large</html>", "HTTP 413"),
    ],
)
def test_a_refused_document_says_why(canned: Canned, open_at: OpenParser, status: int, body: object, why: str) -> None:
    canned.will_say(body, status=status)
    with pytest.raises(PermanentError) as raised:
        OPERATIONS["submit"](open_at(canned.address))
    assert (raised.value.code, raised.value.why) == ("parse.rejected", why)


@every_operation
@pytest.mark.parametrize("status", [304, 408, 500, 502, 503, 529])
def test_an_outage_may_be_tried_again_and_is_not_tried_by_the_sdk(
    canned: Canned, open_at: OpenParser, operation: Callable[[Parser], object], status: int
) -> None:
    canned.will_say("" if status == 304 else "<html>Sorry</html>", status=status)
    with pytest.raises(TransientError) as raised:
        operation(open_at(canned.address))
    assert (raised.value.code, raised.value.what) == ("parse.unavailable", f"the parser answered {status}")
    assert len(canned.asked) == 1


# ── the key and the address ─────────────────────────────────────────────────────────────────────────────────────────


@every_operation
@pytest.mark.parametrize("status", [401, 402, 403, 429, 500])
def test_the_key_stands_in_no_error(
    canned: Canned, open_at: OpenParser, operation: Callable[[Parser], object], status: int
) -> None:
    canned.will_say({"detail": f"The key {SECRET} is not welcome"}, status=status)
    with pytest.raises(DocprocError) as raised:
        operation(open_at(canned.address, key=SECRET))
    assert "The key … is not welcome" in raised.value.why
    assert SECRET not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("key", ["", f"{SECRET}\n", f"{SECRET}é", f"{SECRET}\x00"])
def test_a_key_that_cannot_be_sent_is_refused_before_anything_is_sent(open_at: OpenParser, key: str) -> None:
    with pytest.raises(CredentialsError) as raised:
        open_at("http://127.0.0.1:9", key=key)
    assert SECRET not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://[::1", "nonsense"])
def test_an_address_where_nobody_answers_may_be_tried_again(open_at: OpenParser, address: str) -> None:
    with pytest.raises(TransientError) as raised:
        open_at(address).check()
    assert raised.value.code == "parse.unavailable"


# ── which adapter ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_adapter_is_that_of_the_installed_sdk(open_at: OpenParser) -> None:
    adapter = "LlamaParseParser" if metadata.version("llama-cloud").startswith("0.") else "LlamaCloudParser"
    assert type(open_at("http://127.0.0.1:9")).__name__ == adapter


@pytest.mark.parametrize(
    ("version", "adapter"),
    [("0.1.46", "LlamaParseParser"), ("2.0.0", "LlamaCloudParser"), ("10.1", "LlamaCloudParser")],
)
def test_the_version_decides(monkeypatch: pytest.MonkeyPatch, version: str, adapter: str) -> None:
    monkeypatch.setattr(metadata, "version", lambda _: version)
    assert type(open_parser(Settings(), base_url=None, api_key="any")).__name__ == adapter


@pytest.mark.parametrize("version", ["1.9.0", "nightly", None])
def test_another_version_or_none_is_refused_with_the_command_that_mends_it(
    monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    def installed(name: str) -> str:
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(metadata, "version", installed)
    with pytest.raises(ConfigError) as raised:
        open_parser(Settings(), base_url=None, api_key="any")
    assert (raised.value.code, raised.value.why) == ("config.invalid", version or "not installed")
    assert "pip install 'llama-cloud>=2'" in raised.value.remedy
