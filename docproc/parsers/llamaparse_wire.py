"""LlamaParse v2 as both of the vendor's SDKs reach it: options, states, pages and errors; an adapter adds the calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from docproc.errors import (
    CredentialsError,
    JobError,
    Pause,
    PermanentError,
    ProgramError,
    QuotaError,
    ThrottledError,
    TransientError,
)
from docproc.http import IMPORTING, retry_after
from docproc.model import Page, ParseResult
from docproc.parsers import Progress, settings_id
from docproc.redaction import GAP, unquoted

if TYPE_CHECKING:
    import httpx

    from docproc.settings import ParserSettings

Json = Mapping[str, Any]

CLIENT_REF = "client_ref"
"""The key in the service's ``user_metadata`` under which a job carries our name for it."""

LIST_ROWS = 100
"""Jobs in one page of the service's list."""

_STATES = {"PENDING": "waiting", "RUNNING": "waiting", "COMPLETED": "ready", "FAILED": "failed", "CANCELLED": "failed"}

# Texts that the service is known to return in place of a page's content.
_NO_CONTENT = frozenset({"", "NO_CONTENT_HERE", "undefined"})


class LlamaParse(ABC):
    """A ``Parser`` that speaks LlamaParse v2 through the seven calls that an SDK's adapter makes.

    Each call returns the decoded answer, and raises as ``in_our_words``, ``refusal`` and ``content`` do.
    """

    def __init__(self, settings: ParserSettings, *, api_key: str) -> None:
        """Raises CredentialsError for a key that cannot stand in an HTTP header."""
        if not (api_key and api_key.isascii() and api_key.isprintable()):
            raise CredentialsError("credentials.parser", "the parser's key is empty or no text that can be sent")
        self._settings = settings
        self.settings_id = settings_id(settings)

    # ── the calls ───────────────────────────────────────────────────────────────────────────────────────────────────

    @abstractmethod
    def _upload(self, file: BinaryIO, name: str, client_ref: str) -> Json:
        """Stores the file, sent by blocks; the answer's ``id`` names it."""

    @abstractmethod
    def _create(self, options: Json) -> Json:
        """Submits a parse, once: an SDK's own retries would buy it again. The answer's ``id`` names the job."""

    @abstractmethod
    def _get(self, external_id: str, expand: list[str]) -> Json:
        """The job under ``job``, and beside it the parts of its result that ``expand`` names."""

    @abstractmethod
    def _list(self, since: str, page_token: str | None) -> Json:
        """One page of the jobs created since the ISO time ``since``: ``items``, ``next_page_token``."""

    @abstractmethod
    def _cancel(self, external_id: str) -> None:
        """Asks the service to end the job."""

    @abstractmethod
    def _delete(self, external_id: str) -> None:
        """Asks the service to forget a job that has ended, and its result."""

    @abstractmethod
    def _versions(self) -> Json:
        """The versions that are offered, by tier."""

    # ── the parser ──────────────────────────────────────────────────────────────────────────────────────────────────

    def upload(self, file: BinaryIO, name: str, client_ref: str) -> str:
        """Hands the document in. The service keeps it for 48 hours, and nothing is paid for it."""
        return str(_required(self._upload(file, name, client_ref), "id"))

    def submit(self, file_id: str, client_ref: str, *, fresh: bool) -> str:
        """Orders the parse of an uploaded file, in one request."""
        options: dict[str, Any] = {
            "file_id": file_id,
            "tier": self._settings.tier,
            "version": self._settings.version,
            "user_metadata": {CLIENT_REF: client_ref},
        }
        if fresh:
            options["disable_cache"] = True
        return str(_required(self._create(options), "id"))

    def poll(self, external_id: str) -> Progress:
        """Where the job stands. A state that is not known counts as waiting: the deadline ends it."""
        try:
            job = _required(self._get(external_id, []), "job")
        except StatusError as error:
            if error.status == 404:
                return Progress("gone")
            raise
        with _reading():
            status = str(job["status"])
            return Progress(_STATES.get(status, "waiting"), why=unquoted(job.get("error_message") or "") or status)

    def fetch(self, external_id: str) -> ParseResult:
        """The pages of a job that is ready; a page's plain text stands in where its Markdown is missing."""
        try:
            answer = self._get(external_id, ["markdown", "text", "metadata", "usage"])
        except StatusError as error:
            if error.status == 404:
                raise TransientError("parse.gone", "the parse result is no longer at the service") from None
            raise
        if answer.get("markdown") is None and answer.get("text") is None:
            raise TransientError("parse.no_result", "the service called the parse complete and gave no result")
        with _reading():
            job = answer.get("job") or {}
            # The service's documentation has no such field; should it tell what it really used, that is the truth.
            version = str(job.get("version") or self._settings.version)
            return ParseResult(tuple(_pages(answer)), version, (job.get("usage") or {}).get("credits"))

    def cancel(self, external_id: str) -> None:
        """Gives the job up; one that has ended meanwhile is left as it is."""
        try:
            self._cancel(external_id)
        except PermanentError:
            return
        except StatusError as error:
            if error.status not in (404, 409):
                raise

    def delete(self, external_id: str) -> None:
        """Removes the job with its result; the file that was handed in goes by itself, after 48 hours."""
        self.cancel(external_id)  # the service deletes only what has ended
        try:
            self._delete(external_id)
        except StatusError as error:
            if error.status != 404:
                raise

    def find(self, client_ref: str, since: datetime) -> str | None:
        """Looks through the jobs created since ``since`` for the one that carries ``client_ref``."""
        token: str | None = None
        while True:
            answer = self._list(since.isoformat(), token)
            with _reading():
                # An answer without a list must not count as "there is no such job": the parse would be bought again.
                for job in answer["items"]:
                    if (job.get("user_metadata") or {}).get(CLIENT_REF) == client_ref:
                        return str(job["id"])
            token = answer.get("next_page_token")
            if not token:
                return None

    def check(self) -> tuple[str, ...]:
        """The versions that the service offers for the tier."""
        return tuple(self._versions().get(self._settings.tier) or ())


def _pages(answer: Json) -> Iterator[Page]:
    texts = {page["page_number"]: page.get("text") for page in _pages_of(answer, "text")}
    scores = {page["page_number"]: page.get("confidence") for page in _pages_of(answer, "metadata")}
    by_number = {page["page_number"]: page for page in _pages_of(answer, "markdown")}
    for number in sorted({*texts, *by_number}):
        page = by_number.get(number, {})
        if page.get("success") is False:
            yield Page(number, "", error=page.get("error") or "the service gave no reason")
            continue
        found = (text for text in (page.get("markdown"), texts.get(number)) if text and text.strip() not in _NO_CONTENT)
        yield Page(number, next(found, ""), confidence=scores.get(number))


def _pages_of(answer: Json, part: str) -> Sequence[Json]:
    pages: Sequence[Json] = (answer.get(part) or {}).get("pages") or ()
    return pages


# ── answers and errors ──────────────────────────────────────────────────────────────────────────────────────────────


class StatusError(TransientError):
    """The service answered ``status``, which says nothing about the document: an outage, a conflict, not found."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__("parse.unavailable", f"the parser answered {status}", why=why)
        self.status = status


def content(response: httpx.Response) -> Json:
    """The JSON object that ``response`` holds. Raises as ``refusal`` says, and TransientError when it holds none."""
    if not response.is_success:
        raise refusal(response)
    answer = response.json()
    if not isinstance(answer, dict):
        raise _unreadable("no object")
    return answer


def refusal(response: httpx.Response) -> JobError | ProgramError:
    """The error that an answer other than 2xx stands for, by its status, never by its text."""
    status, why = response.status_code, _reason(response)
    if status in (401, 403):
        return CredentialsError("credentials.parser", "the parser refused the key", why=f"HTTP {status}{why}")
    if status == 402:
        return QuotaError("quota.parser", "the parser's credits are used up", why=f"HTTP {status}{why}")
    if status == 429:
        pause = Pause(retry_after(response.headers))
        return ThrottledError("parse.throttled", "the parser limits the rate", why=f"HTTP {status}{why}", pause=pause)
    if status in (404, 408, 409) or not 400 <= status < 500:
        return StatusError(status, why.removeprefix(": "))
    return PermanentError("parse.rejected", "the parser refused the document", why=f"HTTP {status}{why}")


def unavailable(cause: BaseException) -> TransientError:
    """The error for an answer that never came; the name of its cause says enough, its text may hold the key."""
    return TransientError("parse.unavailable", "the parser does not answer", why=type(cause).__name__)


@contextmanager
def in_our_words() -> Iterator[None]:
    """Turns the exceptions of httpx, and those of reading an answer, into TransientError."""
    with IMPORTING:
        import httpx
    try:
        yield
    except httpx.TransportError as error:
        raise unavailable(error) from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise _unreadable(type(error).__name__) from None


@contextmanager
def _reading() -> Iterator[None]:
    """Turns an answer of another shape than the service's documentation says into TransientError."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(type(error).__name__) from None


def _required(answer: Json, key: str) -> Any:
    if not answer.get(key):  # a 200 with {}: seen where a proxy or an overloaded service answers
        raise TransientError("parse.no_result", "the parser answered without content")
    return answer[key]


def _unreadable(why: str) -> TransientError:
    return TransientError("parse.unavailable", "the parser's answer cannot be read", why=why)


def _reason(response: httpx.Response) -> str:
    """The service's own words after a colon, from a FastAPI ``detail``: cut, without quotations and without the key."""
    try:
        body = response.json()
    except ValueError:  # a page of HTML, as proxies send it: its status says all
        return ""
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, list):
        detail = "; ".join(str(part.get("msg", part)) if isinstance(part, dict) else str(part) for part in detail)
    key = response.request.headers.get("authorization", "").removeprefix("Bearer ")
    words = unquoted(str(detail or "").replace(key or "\0", GAP))
    return f": {words}" if words else ""
