"""Speaks Supabase Storage's REST API: the key on every request, tries, and the true status of an answer."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from docproc.errors import ConfigError, CredentialsError, QuotaError, TransientError
from docproc.http import retry_after
from docproc.settings import Secret
from docproc.storage import BLOCK

if TYPE_CHECKING:
    import requests
    from tenacity import RetryCallState

TIMEOUTS = (10.0, 60.0)
"""Seconds to connect, and seconds without a byte while an answer is read."""

TRIES = 3
"""How often a request is sent before the job's own backoff takes over."""

MAX_PAUSE = 8.0
"""Seconds between two tries at most, whatever the server asks for: the job holds a lease meanwhile."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``status`` is 0 when nothing did; ``code`` is then the exception's name."""

    status: int
    code: str
    body: bytes
    headers: Mapping[str, str]
    damaged: bool = False

    @property
    def ok(self) -> bool:
        """Whether the server did what it was asked for."""
        return 200 <= self.status < 300

    @property
    def missing(self) -> bool:
        """Whether the server says that there is no such object or bucket."""
        return self.status == 404 or self.code == "NoSuchKey"

    @property
    def transient(self) -> bool:
        """Whether another try may end better; 409 and 423 are another writer's, who is gone by then."""
        return self.damaged or self.status in (0, 408, 409, 423, 425, 429) or self.status >= 500

    @property
    def key_refused(self) -> bool:
        """Whether the server does not accept the key."""
        return self.status in (401, 403) or "jwt" in self.code.lower()

    @property
    def why(self) -> str:
        """Status and code, for an error's text."""
        return f"HTTP {self.status} {self.code}".strip() if self.status else self.code

    @property
    def json(self) -> object:
        """The body of an answer that is ``ok``, read as JSON; None when it is none."""
        return _loaded(self.body) if self.ok else None


class SupabaseApi:
    """The storage service of the Supabase project at ``url``. Raises ConfigError for a malformed address or key."""

    def __init__(self, url: str, key: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._root = f"{_checked_url(url)}/storage/v1"
        self._key = _checked_key(key)
        self._sleep = sleep

    @property
    def host(self) -> str:
        """Where the service is."""
        return urlsplit(self._root).hostname or ""

    def ask(
        self,
        method: str,
        path: str,
        *,
        data: bytes | BinaryIO | None = None,
        headers: Mapping[str, str] | None = None,
        into: BinaryIO | None = None,
    ) -> Answer:
        """The answer to a request, after at most ``TRIES``; all may be repeated, as an upload replaces.

        A file as ``data`` is sent by blocks, and the body of an answer that is ``ok`` is written by blocks to ``into``.

        An answer that is not ``ok`` is the caller's to judge. Raises CredentialsError, QuotaError, TransientError
        ``storage.unavailable``, and ConfigError when the address redirects.
        """
        from tenacity import Retrying, retry_if_result, stop_after_attempt

        tries = Retrying(
            sleep=self._sleep,
            stop=stop_after_attempt(TRIES),
            wait=_pause,
            retry=retry_if_result(lambda answer: answer.transient),
            retry_error_callback=_last,
        )
        answer: Answer = tries(self._once, method, path, data, headers, into)
        if answer.key_refused:
            raise CredentialsError("credentials.storage", "the storage refused the key", why=answer.why)
        if answer.status == 402:
            remedy = "see the project's usage and spend cap, then run again: nothing is lost"
            raise QuotaError("quota.storage", "the storage's quota is used up", why=answer.why, try_=remedy)
        if answer.transient and not answer.damaged:
            raise TransientError("storage.unavailable", "the storage does not answer", why=answer.why)
        if 300 <= answer.status < 400:
            raise ConfigError("config.invalid", "SUPABASE_URL leads elsewhere (a redirect)", why=answer.why)
        return answer

    def _once(
        self,
        method: str,
        path: str,
        data: bytes | BinaryIO | None,
        headers: Mapping[str, str] | None,
        into: BinaryIO | None,
    ) -> Answer:
        import requests

        if data is not None and not isinstance(data, bytes):
            data.seek(0)
        try:
            # No redirects: they would take the key to another host.
            with self._session.request(
                method,
                f"{self._root}/{path}",
                data=data,
                headers=headers,
                timeout=TIMEOUTS,
                allow_redirects=False,
                stream=into is not None,
            ) as response:
                return self._answer(method, response, into)
        except requests.RequestException as error:
            # Its name alone: the exception itself holds the request, and so the key.
            return Answer(0, type(error).__name__, b"", {})

    def _answer(self, method: str, response: requests.Response, into: BinaryIO | None) -> Answer:
        status, code = _status(method, response)
        code = "" if self._key in code else code
        if status != 200 or method != "GET":
            return Answer(status, code, response.content, response.headers)
        md5 = hashlib.md5(usedforsecurity=False)
        if into is None:
            md5.update(response.content)
        else:
            into.seek(0)
            into.truncate()
            for block in response.iter_content(BLOCK):
                md5.update(block)
                into.write(block)
        body = response.content if into is None else b""
        return Answer(status, code, body, response.headers, _damaged(response, md5.hexdigest()))

    @cached_property
    def _session(self) -> requests.Session:
        import requests

        session = requests.Session()
        session.auth = _Bearer(self._key)
        # Compressed on the way, neither length nor checksum would be the object's.
        session.headers["Accept-Encoding"] = "identity"
        return session


class _Bearer:
    """Puts the key on a request. As the session's ``auth`` it also keeps a netrc file from replacing the key."""

    def __init__(self, key: Secret) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["apikey"] = str(self._key)
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment or parts.username:
        why = "it is like https://PROJECT.supabase.co"
        raise ConfigError("config.invalid", "SUPABASE_URL is not an address", why=why)
    return url.strip().rstrip("/").removesuffix("/storage/v1")


def _checked_key(key: str) -> Secret:
    """The key, without white space around it; requests would show a malformed one in its error about the header."""
    key = key.strip()
    if not re.fullmatch(r"[!-~]+", key):
        raise ConfigError("config.invalid", "SUPABASE_SERVICE_ROLE_KEY holds characters that no key has") from None
    return Secret(key)


def _status(method: str, response: requests.Response) -> tuple[int, str]:
    """Status and error code. Nearly every error is HTTP 400 with the true status in its body, where there is a body."""
    if response.status_code < 400:
        return response.status_code, ""
    if method == "HEAD":
        return 404 if response.status_code == 400 else response.status_code, ""
    body = _loaded(response.content)
    told: dict[str, Any] = body if isinstance(body, dict) else {}
    code = str(told.get("code") or told.get("error") or "")
    inner = str(told.get("statusCode", ""))
    status = int(inner) if response.status_code == 400 and re.fullmatch(r"[45]\d\d", inner) else response.status_code
    return status, code if re.fullmatch(r"[A-Za-z_ ]{1,40}", code) else ""


def _damaged(response: requests.Response, md5: str) -> bool:
    """Whether the bytes differ from an ETag that is their MD5; too few bytes are a ChunkedEncodingError before that."""
    # An upload in parts has a hash of hashes with a dash and a count; a weak ETag promises nothing about bytes.
    etag = re.fullmatch(r'"?([0-9a-f]{32})"?', response.headers.get("ETag", ""))
    return etag is not None and etag[1] != md5


def _pause(state: RetryCallState) -> float:
    """Seconds to the next try: 1 to 2, then 2 to 3, or what the server asks for, at most ``MAX_PAUSE``."""
    from tenacity import wait_exponential_jitter

    asked = retry_after(_last(state).headers) or 0.0
    return min(MAX_PAUSE, max(asked, wait_exponential_jitter()(state)))


def _last(state: RetryCallState) -> Answer:
    assert state.outcome is not None
    answer: Answer = state.outcome.result()
    return answer


def _loaded(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None
