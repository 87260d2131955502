"""A proxy on loopback between docproc and the paid services that sends no request past a session's budget."""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePath
from typing import Any

from docproc import tokens
from docproc.parsers.extraction import count_pages
from tests.real.budget import CREDIT, Budget, Charge, Limits, credits_a_page, embedding_charge, parse_charge
from tests.real.wire import Answer, Asked, Upstreams, as_json, detail, quota, read_object

SERVICE = "docproc-test-limiter"
"""What ``/health`` answers: what stands behind this proxy counts as a real service, mocks too."""

BYTES_A_PAGE = 1_000
"""Where pages cannot be counted (DOCX): a page of text takes about this much, compressed."""

LARGEST_REQUEST = 5_000_000
"""Bytes of a request that are read; OpenAI's largest, of 300,000 tokens, has about 1.5 million."""


@dataclass(slots=True)
class Limiter:
    """Decides on every request and remembers, of each, its method, path and status: no header, no content, no key."""

    budget: Budget
    upstreams: Upstreams
    address: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    _pages: dict[str, int] = field(default_factory=dict)
    _reserved: dict[str, int] = field(default_factory=dict)

    def report(self) -> dict[str, Any]:
        """The spend, and the requests so far, as ``GET /limiter`` shows them."""
        return {**self.budget.report(), "requests": list(self.requests)}

    def answer(self, asked: Asked) -> Answer:
        """The service's answer, or a refusal in its words where the budget or the route does not allow the request."""
        rule = next((rule for pattern, rule in _ROUTES if pattern.fullmatch(f"{asked.method} {asked.path}")), None)
        answer = rule(self, asked) if rule else detail(405, "the limiter knows no such request, nor what it costs")
        self.requests.append({"method": asked.method, "path": asked.path, "status": answer.status, "sent": answer.sent})
        return answer

    # ── what the routes do ──────────────────────────────────────────────────────────────────────────────────────────

    def free(self, asked: Asked) -> Answer:
        """Passes on what costs nothing."""
        return self.upstreams.forward(asked)

    def upload(self, asked: Asked) -> Answer:
        """Passes a document on that is not too large, and counts its pages."""
        name, content = _file(asked)
        if len(content) > self.budget.limits.file_bytes:
            return detail(413, f"{len(content)} bytes: tests send {self.budget.limits.file_bytes} at most")
        answer = self.upstreams.forward(asked)
        if known := answer.json().get("id"):
            self._pages[str(known)] = _pages(name, content)
        return answer

    def submit(self, asked: Asked) -> Answer:
        """Lets a parse be ordered while there are calls and money for all its pages."""
        options = read_object(asked.body)
        # A file that did not come this way may be as large as any.
        pages = self._pages.get(str(options.get("file_id")), self.budget.limits.file_bytes // BYTES_A_PAGE)
        charge = parse_charge(options.get("tier"), pages)
        if not self.budget.reserve(charge):
            return detail(402, f"the test session has met {self.budget.stopped}")
        answer = self._paid(asked, charge)
        if known := answer.json().get("id"):
            self._reserved[str(known)] = pages * credits_a_page(options.get("tier"))
        return answer

    def poll(self, asked: Asked) -> Answer:
        """Passes the question on; credits over those that were reserved are counted when the service tells them."""
        answer = self.upstreams.forward(asked)
        job = answer.json().get("job")
        usage = job.get("usage") if isinstance(job, dict) else None
        used = usage.get("credits") if isinstance(usage, dict) else None
        known = asked.path.rpartition("/")[2]
        if isinstance(used, int | float) and used > self._reserved.get(known, used):
            self.budget.add(Charge(money=int((used - self._reserved[known]) * CREDIT)))
            self._reserved[known] = int(used)
        return answer

    def embed(self, asked: Asked) -> Answer:
        """Lets texts be embedded while there are tokens and money for all of them."""
        body = read_object(asked.body)
        counted = _tokens(body.get("input"))
        charge = embedding_charge(body.get("model"), counted)
        if not self.budget.reserve(charge):
            return quota(f"the test session has met {self.budget.stopped}")
        answer = self._paid(asked, charge)
        usage = answer.json().get("usage")
        used = usage.get("total_tokens") if isinstance(usage, dict) else None
        if isinstance(used, int) and used > counted:
            self.budget.add(embedding_charge(body.get("model"), used - counted))
        return answer

    def _paid(self, asked: Asked, charge: Charge) -> Answer:
        """What the service refuses (4xx) costs nothing; anything else may have been charged, a lost answer too."""
        answer = self.upstreams.forward(asked)
        if 400 <= answer.status < 500:
            self.budget.give_back(charge)
        return answer


_ROUTES: tuple[tuple[re.Pattern[str], Callable[[Limiter, Asked], Answer]], ...] = (
    (re.compile(r"POST /api/v1/(beta/)?files"), Limiter.upload),
    (re.compile(r"POST /api/v2/parse"), Limiter.submit),
    (re.compile(r"GET /api/v2/parse/[^/]+"), Limiter.poll),
    (re.compile(r"POST /api/v2/parse/[^/]+/cancel"), Limiter.free),
    (re.compile(r"DELETE /api/v2/parse/[^/]+"), Limiter.free),
    (re.compile(r"GET /(api|v1)/.+"), Limiter.free),
    (re.compile(r"POST /v1/embeddings"), Limiter.embed),
)


# ── what is read ───────────────────────────────────────────────────────────────────────────────────


def _file(asked: Asked) -> tuple[str, bytes]:
    """Name and bytes of the file in a multipart form; the whole body where none is found."""
    found = re.search(r'boundary="?([^";]+)', asked.headers.get("content-type", ""))
    for part in asked.body.split(b"--" + found[1].encode()) if found else ():
        head, _, content = part.partition(b"\r\n\r\n")
        if name := re.search(rb'filename="([^"]*)"', head):
            return name[1].decode("utf-8", "replace"), content.removesuffix(b"\r\n")
    return "", asked.body


def _pages(name: str, content: bytes) -> int:
    """The pages of a document: those that can be counted, else as many as its size allows."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        counted = count_pages(file, PurePath(name).suffix)
    return counted or len(content) // BYTES_A_PAGE + 1


def _tokens(given: Any) -> int:
    """Tokens of an ``input``: a text, texts, token ids or lists of those."""
    if isinstance(given, str):
        return tokens.count(given)
    if isinstance(given, list):
        return sum(1 if isinstance(one, int) else _tokens(one) for one in given)
    return 0


# ── the server ──────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def limiting(limits: Limits, upstreams: Upstreams) -> Iterator[Limiter]:
    """A limiter that listens on loopback until the end of the block; ``/limiter`` shows its report."""
    limiter = Limiter(Budget(limits), upstreams)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet

        def serve(self) -> None:
            answer = _own(limiter, self.path) or self._passed()
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_DELETE = serve  # noqa: N815 - the names that http.server calls

        def _passed(self) -> Answer:
            length = self.headers.get("content-length", "0")
            if "transfer-encoding" in self.headers or not length.isdecimal() or int(length) > LARGEST_REQUEST:
                self.close_connection = True
                return detail(413, f"the limiter reads requests of a known length, {LARGEST_REQUEST} bytes at most")
            headers = {name.lower(): value for name, value in self.headers.items()}
            return limiter.answer(Asked(self.command, self.path, headers, self.rfile.read(int(length))))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in http.server
            """Prints nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        limiter.address = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield limiter
        finally:
            server.shutdown()
            thread.join()


def _own(limiter: Limiter, path: str) -> Answer | None:
    """What the limiter answers of itself."""
    if path == "/health":
        return as_json({"service": SERVICE})
    return as_json(limiter.report()) if path == "/limiter" else None
