"""A LlamaParse that says what a test has it say, over real HTTP, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    key: str
    body: bytes


@dataclass(slots=True)
class Canned:
    """Answers ``answers`` one after the other, the last of them for ever: ``(status, headers, JSON or text)``."""

    address: str = ""
    answers: list[tuple[int, Mapping[str, str], Any]] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)

    def will_say(self, body: object, *, status: int = 200, **headers: str) -> None:
        """Adds an answer."""
        self.answers.append((status, {name.replace("_", "-"): value for name, value in headers.items()}, body))

    def next(self) -> tuple[int, Mapping[str, str], bytes]:
        """The answer that is due."""
        status, headers, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return status, headers, (body if isinstance(body, str) else json.dumps(body)).encode()


@contextmanager
def canned_service() -> Iterator[Canned]:
    """A service at a port of its own; it listens until the end of the block."""
    canned = Canned()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            key = self.headers.get("authorization", "").removeprefix("Bearer ")
            canned.asked.append(Request(self.command, parts.path, parse_qs(parts.query), key, body))
            status, headers, content = canned.next()
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815 - the names that http.server calls

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Prints nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        canned.address = f"http://127.0.0.1:{server.server_address[1]}"
        yield canned
        server.shutdown()
        thread.join()
