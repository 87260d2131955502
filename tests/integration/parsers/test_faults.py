"""Every fault that the mock LlamaParse can be ordered to have, as docproc's errors: the same through both SDKs."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from docproc.errors import (
    CredentialsError,
    DocprocError,
    PermanentError,
    QuotaError,
    ThrottledError,
    TransientError,
)
from docproc.parsers import Progress
from mocks.faults import FAULTS
from tests.integration.parsers.service import PAGES, PDF, OpenParser, Service
from tests.support import Mocks, wait_until

Check = Callable[[Service], None]
SHORT = 1.0
"""Seconds of a timeout that a slow answer exceeds and no other does."""


def fired(mocks: Mocks, fault: str, before: int) -> bool:
    """Whether ``fault`` struck a request after the first ``before``."""
    return any(fault in row["faults"] for row in mocks.log()[before:])


def refused(kind: type[DocprocError], code: str, why: str) -> Check:
    """The submit is refused: no job is made, and nobody but docproc tries again."""

    def check(service: Service) -> None:
        ref, before = f"ref-{uuid4()}", len(service.mocks.log())
        with pytest.raises(kind) as raised:
            service.submit(ref=ref)
        assert (raised.value.code, raised.value.why) == (code, why)
        assert service.found(ref) is None
        asked = [row["operation"] for row in service.mocks.log()[before:]]
        assert max(asked.count(operation) for operation in asked) == 1

    return check


def lost(code: str) -> Check:
    """The submit's answer is lost and the job exists: it is found, and so not bought again."""

    def check(service: Service) -> None:
        ref = f"ref-{uuid4()}"
        with pytest.raises(TransientError) as raised:
            service.submit(ref=ref)
        assert raised.value.code == code
        job = service.found(ref)
        assert job is not None
        assert service.ended(job).state == "ready"
        assert len(service.parser.fetch(job).pages) == PAGES
        assert service.mocks.bill()["jobs_by_client_ref"][ref] == 1

    return check


def poll_fails(service: Service) -> None:
    job = service.submit()
    with pytest.raises(TransientError) as raised:
        service.parser.poll(job)
    assert raised.value.code == "parse.unavailable"


def fetch_fails(code: str) -> Check:
    def check(service: Service) -> None:
        job = service.submit()
        assert service.ended(job).state == "ready"
        with pytest.raises(TransientError) as raised:
            service.parser.fetch(job)
        assert raised.value.code == code

    return check


def stands(state: str, why: str) -> Check:
    def check(service: Service) -> None:
        assert service.parser.poll(service.submit()) == Progress(state, why)

    return check


def unknown_state(service: Service) -> None:
    stands("waiting", "PAUSED")(service)
    with pytest.raises(TransientError) as raised:
        service.parser.fetch(service.submit())
    assert raised.value.code == "parse.no_result"


def cached_failure(service: Service) -> None:
    data = PDF + f"\n%{uuid4()}\n".encode()
    assert service.ended(service.submit(data=data)) == Progress("failed", "Parsing failed")
    assert service.ended(service.submit(data=data)) == Progress("failed", "Parsing failed")
    assert service.ended(service.submit(data=data, fresh=True)).state == "ready"


def failed_pages(service: Service) -> None:
    errors = [page.error for page in service.parsed().pages]
    assert (len(errors), errors.count(None), errors.count("Page processing failed")) == (PAGES, PAGES - 1, 1)


def pages(count: int) -> Check:
    def check(service: Service) -> None:
        assert [page.number for page in service.parsed().pages] == list(range(1, count + 1))

    return check


def text_stands_in(service: Service) -> None:
    result = service.parsed()
    assert len(result.pages) == PAGES
    assert all(page.markdown.strip() for page in result.pages)


def no_text(service: Service) -> None:
    assert [page.markdown for page in service.parsed().pages] == [""] * PAGES


def no_usage(service: Service) -> None:
    assert service.parsed().credits is None


def found_later(service: Service) -> None:
    job = service.submit()
    assert service.parser.poll(job) == Progress("gone")
    wait_until(lambda: service.parser.poll(job).state == "ready")


KEY, MONEY, AWAY, NO = "credentials.parser", "quota.parser", "parse.unavailable", "parse.rejected"
CHECKS: dict[str, tuple[str, Check]] = {
    "llamaparse.unauthorized": ("on=submit", refused(CredentialsError, KEY, "HTTP 401: Invalid API Key")),
    "llamaparse.payment_required": (
        "",
        refused(QuotaError, MONEY, "HTTP 402: You have exceeded the credits of your plan"),
    ),
    "llamaparse.too_large": ("", refused(PermanentError, NO, "HTTP 413: File too large")),
    "llamaparse.unprocessable": ("", refused(PermanentError, NO, "HTTP 422: Input should be a valid tier")),
    "llamaparse.rate_limit": ("", refused(ThrottledError, "parse.throttled", "HTTP 429: Rate limit exceeded")),
    "llamaparse.server_error": ("", refused(TransientError, AWAY, "Internal Server Error")),
    "llamaparse.unavailable": ("on=submit", refused(TransientError, AWAY, "Service Unavailable")),
    "llamaparse.poll_error": ("", poll_fails),
    "llamaparse.fetch_error": ("", fetch_fails("parse.unavailable")),
    "llamaparse.expired": ("", fetch_fails("parse.gone")),
    "llamaparse.error_after_accept": ("", lost("parse.unavailable")),
    "llamaparse.slow": ("seconds=2", lost("parse.unavailable")),
    "llamaparse.reset": ("", lost("parse.unavailable")),
    "llamaparse.empty_answer": ("", lost("parse.no_result")),
    "llamaparse.html_answer": ("", lost("parse.unavailable")),
    "llamaparse.unknown_state": ("", unknown_state),
    "llamaparse.failed": ("", stands("failed", "Parsing failed")),
    "llamaparse.cached_failure": ("", cached_failure),
    "llamaparse.failed_pages": ("pages=1", failed_pages),
    "llamaparse.missing_pages": ("pages=1", pages(PAGES - 1)),
    "llamaparse.extra_pages": ("pages=1", pages(PAGES + 1)),
    "llamaparse.no_markdown": ("", text_stands_in),
    "llamaparse.bad_text": ("", no_text),
    "llamaparse.usage_null": ("", no_usage),
    "llamaparse.stuck": ("state=PENDING", stands("waiting", "PENDING")),
    "llamaparse.late": ("seconds=60", stands("waiting", "PENDING")),
    "llamaparse.not_found_yet": ("seconds=0.3", found_later),
}


@pytest.mark.parametrize("name", CHECKS)
def test_every_fault_becomes_the_right_error_or_outcome(services: Mocks, open_at: OpenParser, name: str) -> None:
    options, check = CHECKS[name]
    timeout = SHORT if name == "llamaparse.slow" else 10.0
    before = len(services.log())
    services.set_faults(f"{name}:{options}")
    check(Service(open_at(services.address, timeout=timeout), services))
    wait_until(lambda: fired(services, name, before))  # a late answer is logged when it is given


def test_every_fault_of_the_mock_is_looked_at() -> None:
    assert set(CHECKS) == {name for name in FAULTS if name.startswith("llamaparse.")}


@pytest.mark.parametrize(("header", "seconds"), [("", None), ("retry_after=0.5", 0.5), ("retry_after=90", 90.0)])
def test_the_service_says_how_long_to_wait(service: Service, header: str, seconds: float | None) -> None:
    service.mocks.set_faults(f"llamaparse.rate_limit:{header}")
    with pytest.raises(ThrottledError) as raised:
        service.submit()
    assert raised.value.pause.seconds == seconds


SPOILT = [
    (fault, on) for fault in ("reset", "html_answer", "empty_answer") for on in ("upload", "poll", "fetch", "list")
]


@pytest.mark.parametrize(("fault", "operation"), [*SPOILT, ("slow:seconds=2,", "upload"), ("slow:seconds=2,", "list")])
def test_a_spoilt_answer_to_any_call_may_be_asked_for_again(
    services: Mocks, open_at: OpenParser, fault: str, operation: str
) -> None:
    patient = Service(open_at(services.address), services)
    job = patient.submit()
    patient.ended(job)
    service = Service(open_at(services.address, timeout=SHORT), services)
    calls: dict[str, Callable[[], object]] = {
        "upload": service.submit,
        "poll": lambda: service.parser.poll(job),
        "fetch": lambda: service.parser.fetch(job),
        "list": lambda: service.found("ref-1"),
    }
    name, _, options = f"llamaparse.{fault}".partition(":")
    before = len(services.log())
    services.set_faults(f"{name}:{options}on={operation}")
    with pytest.raises(TransientError):
        calls[operation]()
    wait_until(lambda: fired(services, name, before))
    services.set_faults()
    assert patient.ended(job) == Progress("ready", "COMPLETED")
