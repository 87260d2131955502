"""LlamaParse through the vendor's SDK ``llama-cloud`` 2: upload, submit, poll, fetch, find."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

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
from docproc.http import retry_after
from docproc.model import Page, ParseResult
from docproc.parsers import Progress

if TYPE_CHECKING:
    from llama_cloud import LlamaCloud

    from docproc.settings import ParserSettings

CLIENT_REF = "client_ref"
"""The key in the service's ``user_metadata`` under which a job carries our name for it."""

_STATES = {"PENDING": "waiting", "RUNNING": "waiting", "COMPLETED": "ready", "FAILED": "failed", "CANCELLED": "failed"}

# Texts that the service is known to return in place of a page's content.
_NO_CONTENT = frozenset({"NO_CONTENT_HERE", "undefined"})


class LlamaCloudParser:
    """LlamaParse v2 at ``base_url`` (None: the vendor's own address)."""

    def __init__(self, settings: ParserSettings, *, base_url: str | None, api_key: str) -> None:
        self._settings = settings
        self._address = {"base_url": base_url, "api_key": api_key}
        self._made: LlamaCloud | None = None
        self.settings_id = f"llamaparse:{settings.tier}:{settings.version}"

    @property
    def _client(self) -> LlamaCloud:
        if self._made is None:
            from llama_cloud import LlamaCloud

            # Retries are ours: the SDK's repeat POSTs without an idempotency key and so buy twice.
            self._made = LlamaCloud(**self._address, timeout=self._settings.timeout, max_retries=0)  # type: ignore[arg-type]
        return self._made

    def submit(self, data: bytes, name: str, client_ref: str, *, fresh: bool) -> str:
        """Uploads the document and submits its parse. The upload costs nothing, so only the submit is guarded."""
        with _in_our_words():
            file = self._client.files.create(file=(name, data), purpose="parse", external_file_id=client_ref)
            # Not create(upload_file=…): that drops user_metadata, and with it our way to find the job again.
            job = self._client.parsing.create(
                file_id=_required(file.id),
                tier=self._settings.tier,
                version=self._settings.version,
                user_metadata={CLIENT_REF: client_ref},
                disable_cache=True if fresh else None,
            )
            return _required(job.id)

    def poll(self, external_id: str) -> Progress:
        """Where the job stands. A state that is not known counts as waiting: the deadline ends it."""
        try:
            with _in_our_words():
                job = self._client.parsing.get(external_id).job
                if job is None:
                    raise _no_answer()
        except _GoneError:
            return Progress("gone")
        return Progress(_STATES.get(job.status, "waiting"), why=(job.error_message or job.status))

    def fetch(self, external_id: str) -> ParseResult:
        """The pages of a job that is ready; a page's plain text stands in where its Markdown is missing."""
        try:
            with _in_our_words():
                answer = self._client.parsing.get(external_id, expand=["markdown", "text", "metadata", "usage"])
        except _GoneError:
            raise TransientError("parse.gone", "the parse result is no longer at the service") from None
        if answer.markdown is None and answer.text is None:
            raise TransientError("parse.no_result", "the service called the parse complete and gave no result")
        usage = answer.job.usage if answer.job else None
        return ParseResult(tuple(_pages(answer)), self._settings.version, usage.credits if usage else None)

    def cancel(self, external_id: str) -> None:
        """Gives the job up; one that has ended meanwhile is left as it is."""
        try:
            with _in_our_words():
                self._client.parsing.cancel(external_id)
        except (_GoneError, PermanentError):
            return

    def find(self, client_ref: str, since: datetime) -> str | None:
        """Looks through the jobs created since ``since`` for the one that carries ``client_ref``."""
        with _in_our_words():
            for job in self._client.parsing.list(created_at_on_or_after=since.isoformat(), page_size=100):
                if (job.user_metadata or {}).get(CLIENT_REF) == client_ref:
                    return str(job.id)
        return None

    def check(self) -> tuple[str, ...]:
        """The versions that the service offers for the tier."""
        with _in_our_words():
            versions = self._client.parsing.list_versions()
        return tuple(getattr(versions, self._settings.tier, None) or ())


class _GoneError(JobError):
    """The service does not know the job."""


def _pages(answer: Any) -> Iterator[Page]:
    texts = {page.page_number: page.text for page in (answer.text.pages if answer.text else [])}
    scores = {page.page_number: page.confidence for page in (answer.metadata.pages if answer.metadata else [])}
    pages = answer.markdown.pages if answer.markdown else []
    by_number = {page.page_number: page for page in pages}
    for number in sorted({*texts, *by_number}):
        page = by_number.get(number)
        if page is not None and not page.success:
            yield Page(number, "", error=page.error or "the service gave no reason")
            continue
        markdown = (page.markdown if page is not None else None) or texts.get(number) or ""
        yield Page(number, "" if markdown.strip() in _NO_CONTENT else markdown, confidence=scores.get(number))


def _required(value: str | None) -> str:
    if not value:  # the SDK turns a 200 with an empty body into an object full of None
        raise _no_answer()
    return value


def _no_answer() -> TransientError:
    return TransientError("parse.no_result", "the parser answered without content")


@contextmanager
def _in_our_words() -> Iterator[None]:
    """Turns the SDK's exceptions into docproc's, by class and status, never by text."""
    import httpx
    import llama_cloud

    try:
        yield
    except llama_cloud.APIStatusError as error:
        raise _from_status(error.status_code, _reason(error), error.response) from None
    except llama_cloud.APIConnectionError as error:
        raise TransientError("parse.unavailable", "the parser does not answer", why=_cause(error)) from None
    except (llama_cloud.LlamaCloudError, httpx.HTTPError, ValueError) as error:
        raise TransientError("parse.unavailable", "the parser's answer cannot be read", why=_cause(error)) from None


def _from_status(status: int, why: str, response: Any) -> JobError | ProgramError:
    if status in (401, 403):
        return CredentialsError("credentials.parser", "the parser refused the key", why=why)
    if status == 402:
        return QuotaError("quota.parser", "the parser's credits are used up", why=why)
    if status == 404:
        return _GoneError("parse.gone", "the parser does not know the job", why=why)
    if status == 429:
        pause = Pause(retry_after(response.headers))
        return ThrottledError("parse.throttled", "the parser limits the rate", why=why, pause=pause)
    if status in (408, 409) or status >= 500:
        return TransientError("parse.unavailable", f"the parser answered {status}", why=why)
    return PermanentError("parse.rejected", "the parser refused the document", why=why)


def _reason(error: Any) -> str:
    """The service's own words, from a FastAPI ``detail`` or the status; cut, since a body can be a whole HTML page."""
    body = error.body
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, list):
        detail = "; ".join(str(part.get("msg", part)) if isinstance(part, dict) else str(part) for part in detail)
    return f"HTTP {error.status_code}" + (f": {detail}"[:200] if detail else "")


def _cause(error: Exception) -> str:
    return type(error.__cause__ or error).__name__
