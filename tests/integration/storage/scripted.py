"""A tiny HTTP server that answers as a test says, one answer after the other; the last one is repeated."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WHEN = "Tue, 02 Jan 2001 03:04:05 GMT"


@dataclass(frozen=True, slots=True)
class Say:
    """An answer; ``cut`` is how many bytes of the body are sent before the connection breaks."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came; the names of headers in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Scripted:
    """The server at ``address``: what it will say, and what it was asked."""

    address: str
    say: list[Say] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)


def error(status: int, code: str) -> Say:
    """What S3 says of an error, with words that hold what must not be shown."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>AKIA-ECHO secret-ECHO</Message></Error>"
    return Say(status, body.encode())


def whole(data: bytes, sha: str) -> Say:
    """An object."""
    return Say(200, data, {"ETag": '"1"', "Last-Modified": WHEN, "x-amz-meta-sha256": sha})


@contextmanager
def scripted() -> Iterator[Scripted]:
    """The server, in threads of this process."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answering)
    told = Scripted(f"http://127.0.0.1:{server.server_port}")
    _Answering.told = told
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Answering(BaseHTTPRequestHandler):
    told: Scripted

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.told.asked.append(Asked(self.command, self.path, headers, body))
        say = self.told.say.pop(0) if len(self.told.say) > 1 else self.told.say[0]
        part = self._part(say)
        data = say.body if part is None else say.body[part[0] : part[1]]
        self.send_response(say.status if part is None else 206)
        for name, value in say.headers.items():
            self.send_header(name, value)
        if part is not None:
            self.send_header("Content-Range", f"bytes {part[0]}-{part[1] - 1}/{len(say.body)}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data if say.cut is None else data[: say.cut])

    def _part(self, say: Say) -> tuple[int, int] | None:
        """First byte, and the one after the last, of what is asked for; None when that is all."""
        asked = self.headers.get("Range")
        if asked is None or say.status != 200:
            return None
        first, _, last = asked.removeprefix("bytes=").partition("-")
        return int(first), min(int(last) + 1 if last else len(say.body), len(say.body))

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - the server's names

    def log_message(self, *args: object) -> None:
        """Says nothing."""
