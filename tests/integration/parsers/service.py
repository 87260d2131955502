"""The parser with the mock service behind it, and a document that is new to the service each time."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from docproc.model import ParseResult
from docproc.parsers import Parser, Progress
from tests.support import FIXTURES, Mocks, wait_until

OpenParser = Callable[..., Parser]
DOCUMENT = "bicycle-workshop.pdf"
PDF = (FIXTURES / "documents" / DOCUMENT).read_bytes()
PAGES: int = json.loads((FIXTURES / "expected.json").read_text("utf-8"))["documents"][DOCUMENT]["pages"]


@dataclass(frozen=True, slots=True)
class Service:
    """A parser and the mock service behind it."""

    parser: Parser
    mocks: Mocks

    def submit(self, *, fresh: bool = False, ref: str = "", data: bytes | None = None) -> str:
        """Submits a PDF, unless given one that was never seen before; returns the job's id."""
        # What follows a PDF's end is not read: other bytes, and so not cached, with the same pages.
        data = data or PDF + f"\n%{uuid4()}\n".encode()
        return submit(self.parser, data, ref or f"ref-{uuid4()}", fresh=fresh)

    def ended(self, external_id: str) -> Progress:
        """The job's progress once it waits no more."""
        wait_until(lambda: self.parser.poll(external_id).state != "waiting")
        return self.parser.poll(external_id)

    def parsed(self) -> ParseResult:
        """Submits, waits and fetches."""
        job = self.submit()
        assert self.ended(job) == Progress("ready", "COMPLETED")
        return self.parser.fetch(job)

    def found(self, ref: str) -> str | None:
        """What ``find`` says."""
        return self.parser.find(ref, datetime.now(UTC) - timedelta(hours=1))


def submit(parser: Parser, data: bytes, ref: str, *, name: str = DOCUMENT, fresh: bool = False) -> str:
    """Uploads and submits; returns the job's id."""
    return parser.submit(parser.upload(io.BytesIO(data), name, ref), ref, fresh=fresh)
