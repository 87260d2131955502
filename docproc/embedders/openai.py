"""OpenAI embeddings through the vendor's SDK; it never retries by itself, and answers come as base64 of float32."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from docproc.embedders import bad_response, checked
from docproc.errors import (
    ConfigError,
    CredentialsError,
    JobError,
    Pause,
    PermanentError,
    ProgramError,
    QuotaError,
    ThrottledError,
    TransientError,
    UnsentError,
)
from docproc.http import IMPORTING, retry_after
from docproc.model import Embedded, Rates

if TYPE_CHECKING:
    import openai

    from docproc.settings import EmbedderSettings


_UNSENT = ("ConnectError", "ConnectTimeout", "PoolTimeout")
"""What httpx raises before anything of a request has left."""


class OpenAIEmbedder:
    """OpenAI's ``/embeddings`` at ``base_url`` (None: the vendor's own address)."""

    def __init__(self, settings: EmbedderSettings, *, base_url: str | None, api_key: str) -> None:
        self._settings = settings
        self._base_url = base_url
        self._api_key = api_key
        self._made: openai.OpenAI | None = None

    @property
    def _client(self) -> openai.OpenAI:
        with IMPORTING:
            if self._made is None:
                # The SDK asks at each request whether httpx is loaded, and fails where another thread, as that of the
                # parser, is just loading it.
                with suppress(ImportError):
                    import httpx  # noqa: F401
                import openai

                if not (self._api_key.isascii() and self._api_key.isprintable()):
                    # No header can carry it: the SDK would fail at every request, without having sent one.
                    raise CredentialsError("credentials.embedder", "the key holds characters that no key has")

                # Retries are ours: the SDK's repeat insufficient_quota too and cap Retry-After.
                self._made = openai.OpenAI(
                    base_url=self._base_url,
                    api_key=self._api_key,
                    timeout=self._settings.timeout,
                    max_retries=0,
                )
                _ = self._made.embeddings
            return self._made

    def embed(self, texts: Sequence[str], *, model: str, dimensions: int) -> Embedded:
        """One vector for each of ``texts``, in their order, checked for count, order, shape, finiteness and length."""
        with _in_our_words():
            raw = self._client.embeddings.with_raw_response.create(
                model=model,
                input=list(texts),
                dimensions=dimensions,
                encoding_format="base64",
            )
        return checked(_read(raw, len(texts), dimensions), inputs=len(texts), dimensions=dimensions)

    def close(self) -> None:
        """Closes the connections."""
        if self._made is not None:
            self._made.close()

    def check(self, model: str) -> None:
        """Asks for the model by a call that costs nothing."""
        with _in_our_words():
            self._client.models.with_raw_response.retrieve(model)


def _read(raw: Any, inputs: int, dimensions: int) -> Embedded:
    """What the answer holds. It was paid for, and is a bad one when it cannot be read, whatever that raises."""
    with IMPORTING:
        import openai

    try:
        answer = raw.parse()
        vectors = _vectors(answer, inputs, dimensions)
    except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
        raise bad_response(type(error).__name__) from None
    tokens = getattr(getattr(answer, "usage", None), "total_tokens", None)
    request_id = raw.headers.get("x-request-id")
    return Embedded(vectors, tokens if isinstance(tokens, int) else None, request_id, _rates(raw.headers))


def _vectors(answer: Any, inputs: int, dimensions: int) -> Any:
    """The vectors in the order of the inputs, as an array of shape (inputs, dimensions)."""
    import numpy as np

    data = getattr(answer, "data", None) or []
    if sorted(entry.index for entry in data if isinstance(entry.index, int)) != list(range(inputs)):
        raise bad_response(f"{len(data)} vectors for {inputs} inputs, or an index twice")
    vectors = np.empty((inputs, dimensions), dtype=np.float32)
    for entry in data:
        try:
            vector = np.frombuffer(base64.b64decode(entry.embedding, validate=True), dtype="<f4")
        except (TypeError, ValueError, binascii.Error):
            raise bad_response("a vector is not base64 of float32") from None
        if vector.shape != (dimensions,):
            raise bad_response(f"a vector of {vector.size} dimensions, expected {dimensions}")
        vectors[entry.index] = vector
    return vectors


def _rates(headers: Mapping[str, str]) -> Rates:
    """What the ``x-ratelimit-*`` headers say; nothing where they are missing or odd."""
    limits = {what: _number(headers.get(f"x-ratelimit-limit-{what}")) for what in ("requests", "tokens")}
    left, full_in = 1.0, 0.0
    for what, limit in limits.items():
        remaining = _number(headers.get(f"x-ratelimit-remaining-{what}"))
        if limit and remaining is not None and remaining / limit < left:
            left, full_in = remaining / limit, _seconds(headers.get(f"x-ratelimit-reset-{what}"))
    return Rates(limits["requests"], limits["tokens"], left, full_in)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _seconds(text: str | None) -> float:
    """Seconds of a duration as the headers write it: ``59.6s``, ``6m0s``, ``1h2m``, ``120ms``."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(ms|h|m|s)", text or ""))


@contextmanager
def _in_our_words() -> Iterator[None]:
    """Turns the SDK's exceptions into docproc's, by class, status and code, never by text.

    Nothing that is raised here is a bad answer: what is no refusal and no lost connection is a defect, and stays one.
    """
    with IMPORTING:
        import openai

    try:
        yield
    except openai.APIStatusError as error:
        raise _from_status(error) from None
    except openai.APIConnectionError as error:
        cause = type(error.__cause__ or error).__name__
        kind = UnsentError if cause in _UNSENT else TransientError
        raise kind("embed.unavailable", "the embedder does not answer", why=cause) from None


def _from_status(error: openai.APIStatusError) -> JobError | ProgramError:
    status, why = error.status_code, f"HTTP {error.status_code} {error.code or ''}".strip()
    if status in (401, 403):
        return CredentialsError("credentials.embedder", "the embedder refused the key", why=why)
    if status == 402 or error.code == "insufficient_quota":
        return QuotaError("quota.embedder", "the embedder's quota is used up", why=why)
    if status == 404:
        return ConfigError("config.invalid", "the embedder does not know the model", why=why, try_="[embedder] model")
    if status == 429:
        pause = Pause(retry_after(error.response.headers))
        return ThrottledError("embed.throttled", "the embedder limits the rate", why=why, pause=pause)
    if status in (408, 409) or status >= 500:
        return TransientError("embed.unavailable", f"the embedder answered {status}", why=why)
    return PermanentError("embed.rejected", "the embedder refused the request", why=why)
