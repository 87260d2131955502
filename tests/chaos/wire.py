"""A man in the middle between docproc and Postgres: sees every message of the protocol and can cut the line at any."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from docproc.local.server import SOCKET


class Verdict(Enum):
    """What becomes of a message of docproc's."""

    PASS = "pass"  # it goes on
    CUT = "cut"  # the line is cut before it reaches the server
    CUT_AFTER = "cut after"  # the server carries it out, and the line is cut before docproc hears of it


Judge = Callable[[bytes, bytes], Verdict]
"""Judges one message of docproc's by its type (one byte; empty for the first one) and its body."""


@dataclass(slots=True)
class Line:
    """One connection: docproc on one end, Postgres on the other."""

    docproc: socket.socket
    postgres: socket.socket
    doomed: threading.Event = field(default_factory=threading.Event)

    def cut(self) -> None:
        """Ends both halves."""
        for end in (self.docproc, self.postgres):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def towards_postgres(self, judge: Judge) -> None:
        """Carries docproc's messages until either end is gone."""
        kind = b""
        while (body := _message(self.docproc, kind)) is not None:
            verdict = judge(kind, body)
            if verdict is Verdict.CUT:
                break
            if verdict is Verdict.CUT_AFTER:
                self.doomed.set()
            self.postgres.sendall(kind + body)
            kind = _exactly(self.docproc, 1)

    def towards_docproc(self) -> None:
        """Carries the server's messages; a doomed line is cut when the server is ready for the next query."""
        while kind := _exactly(self.postgres, 1):
            body = _message(self.postgres, kind)
            if body is None or (self.doomed.is_set() and kind == b"Z"):
                break
            if not self.doomed.is_set():
                self.docproc.sendall(kind + body)


@contextmanager
def between(conninfo: str, folder: Path, judge: Judge) -> Iterator[str]:
    """Listens in ``folder`` while the context lasts; yields the conninfo that leads through it to ``conninfo``."""
    folder.mkdir()
    target = Path(str(conninfo_to_dict(conninfo)["host"])) / SOCKET
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / SOCKET))
    listener.listen()
    lines: list[Line] = []
    thread = threading.Thread(target=_serve, args=(listener, target, judge, lines), name="wire")
    thread.start()
    try:
        yield make_conninfo(conninfo, host=str(folder))
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def _serve(listener: socket.socket, target: Path, judge: Judge, lines: list[Line]) -> None:
    threads: list[threading.Thread] = []
    while True:
        try:
            accepted, _ = listener.accept()
        except OSError:
            break
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(str(target))
        except OSError:  # Postgres is away
            accepted.close()
            server.close()
            continue
        lines.append(Line(accepted, server))
        threads.append(threading.Thread(target=_carry, args=(lines[-1], judge), name="wire"))
        threads[-1].start()
    for line in lines:
        line.cut()
    for thread in threads:
        thread.join()


def _carry(line: Line, judge: Judge) -> None:
    """Both directions of ``line`` until either end is gone."""
    answers = threading.Thread(target=_one_way, args=(line, line.towards_docproc), name="wire, answers")
    answers.start()
    try:
        _one_way(line, line.towards_postgres, judge)
    finally:
        answers.join()
        # Shut down alone, what nobody read would still fill the sender's buffer: that looks like a peer who is slow.
        line.docproc.close()
        line.postgres.close()


def _one_way(line: Line, work: Callable[..., None], *values: Any) -> None:
    try:
        with suppress(OSError):  # an end is gone
            work(*values)
    finally:
        line.cut()


def _message(end: socket.socket, kind: bytes) -> bytes | None:
    """The rest of a message after its type: four bytes of length, which count themselves, and the body."""
    head = _exactly(end, 4)
    return head + _exactly(end, int.from_bytes(head) - 4) if head else None


def _exactly(end: socket.socket, size: int) -> bytes:
    """``size`` bytes, or none when the connection ends before."""
    data = b""
    while len(data) < size:
        more = end.recv(size - len(data))
        if not more:
            return b""
        data += more
    return data
