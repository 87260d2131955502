"""Requests and answers of the limiter's proxy: how they are passed on, and the services' own words for a refusal."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

LLAMAPARSE = "https://api.cloud.llamaindex.ai"
OPENAI = "https://api.openai.com"

TIMEOUT = 120.0
"""Seconds; longer than docproc's own."""

_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection", "expect"}
_OURS = _HOP | {"host", "content-length", "accept-encoding", "content-encoding"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came; ``target`` is its path with the query. Its headers hold the key: they are not shown."""

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def path(self) -> str:
        """Without the query."""
        return urlsplit(self.target).path


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers and a body; ``sent`` tells whether a service gave it."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: bool = False

    def json(self) -> dict[str, Any]:
        """The object in the body; empty where there is none."""
        return read_object(self.body)


@dataclass(frozen=True, slots=True)
class Upstreams:
    """The services' own addresses. Raises ValueError for one that would carry a key over a network in the clear."""

    llamaparse: str = LLAMAPARSE
    openai: str = OPENAI

    def __post_init__(self) -> None:
        for address in (self.llamaparse, self.openai):
            parts = urlsplit(address)
            if parts.scheme != "https" and (parts.scheme, parts.hostname) != ("http", "127.0.0.1"):
                raise ValueError(f"{address} is neither https nor http://127.0.0.1")

    def of(self, path: str) -> str:
        """The service that ``path`` belongs to."""
        return self.openai if path.startswith("/v1/") else self.llamaparse

    def forward(self, asked: Asked) -> Answer:
        """The service's answer; 502 where none came."""
        address = urlsplit(self.of(asked.path))
        host = address.hostname or ""
        connection = (
            http.client.HTTPSConnection(host, address.port, timeout=TIMEOUT, context=ssl.create_default_context())
            if address.scheme == "https"
            else http.client.HTTPConnection(host, address.port, timeout=TIMEOUT)
        )
        headers = {name: value for name, value in asked.headers.items() if name.lower() not in _OURS}
        try:
            with closing(connection):
                # No redirect is followed: the key goes to one host. No compression: the usage is read.
                headers["Accept-Encoding"] = "identity"
                connection.request(asked.method, asked.target, asked.body or None, headers)
                answer = connection.getresponse()
                content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return Answer(502, b"{}", {"x-limiter": type(error).__name__}, sent=True)
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP | {"content-length"}}
        return Answer(answer.status, content, kept, sent=True)


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``; empty where it holds none."""
    try:
        read = json.loads(body)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def detail(status: int, why: str) -> Answer:
    """A refusal as LlamaParse words it."""
    return as_json({"detail": why}, status)


def quota(why: str) -> Answer:
    """OpenAI's word for money used up."""
    error = {"message": why, "type": "insufficient_quota", "param": None, "code": "insufficient_quota"}
    return as_json({"error": error}, 429)


def as_json(body: object, status: int = 200) -> Answer:
    """An answer of the limiter's own."""
    return Answer(status, json.dumps(body).encode(), {"content-type": "application/json"})
