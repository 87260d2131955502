"""Processes that chunk beside us, for when there is so much text that two cores are not enough."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import docproc
from docproc import chunkers
from docproc.chunkers.child import ENDED
from docproc.chunkers.reading import TextFile
from docproc.chunkers.spool import load
from docproc.errors import TransientError
from docproc.model import Chunk

ENOUGH = 2
"""As many threads share the work without processes: tiktoken, half of all, lets go of the interpreter's lock.

Two threads chunk 300 files of 18 kB in 1.0 s, two processes in 1.4 s; 1,500 files in 2.7 to 3.6 s, processes in 3.3 to
5.5 s; six files of 5 MB in 4.0 to 4.9 s, processes in 3.5 to 4.9 s (two cores; tests/performance/chunking/parallel.py).
"""

LONG = 4_000_000
"""Bytes of a text from which it is worth a process of its own. A process takes 0.4 s to start, in which 2 MB are
chunked, and 75 MB of memory."""

MANY = 8_000_000
"""Bytes chunked in this process after which it is likely enough that as much will follow."""

_WAIT = 5.0
"""Seconds for a killed process to be gone."""

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TIKTOKEN_CACHE_DIR")


class Workers:
    """Chunks in this process at first, and in up to ``most`` others as soon as that pays; used by ``most`` threads."""

    def __init__(self, most: int) -> None:
        self._most = most if most > ENOUGH else 0
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._started = 0
        self._seen = 0

    @property
    def pids(self) -> list[int]:
        """The processes that wait for a document."""
        with self._lock:
            return [worker.pid for worker in self._idle]

    def chunk(self, chunker: chunkers.Chunker, document: TextFile) -> Iterator[Chunk]:
        """What ``chunker.chunk(document)`` yields. Raises TransientError ``chunk.worker_died`` when a process died."""
        worker = self._taken(document.size)
        if worker is None:
            yield from chunker.chunk(document)
            return
        whole = False
        try:
            yield from worker.chunk(f"{chunker.name}@{chunker.version}", document)
            whole = True
        finally:
            self._give_back(worker, whole=whole)

    def _taken(self, size: int) -> Worker | None:
        """A worker for a text of ``size`` bytes, None when it is better chunked here."""
        with self._lock:
            self._seen += size
            if size < LONG and self._seen < MANY:
                return None
            if self._idle:
                return self._idle.pop()
            if self._started == self._most:
                return None
            self._started += 1
        return Worker()

    def _give_back(self, worker: Worker, *, whole: bool) -> None:
        """What did not finish its document is of no use: the rest of the answer would be taken for the next one's."""
        if not whole:
            worker.kill()
        with self._lock:
            if whole:
                self._idle.append(worker)
            else:
                self._started -= 1


def _environment() -> dict[str, str]:
    """What a process needs to find its files; no key of the user's reaches it."""
    return {name: value for name, value in os.environ.items() if name in _INHERITED}


class Worker:
    """One process. It ends when its input does: with this object, or with this process however that ends."""

    def __init__(self) -> None:
        root = str(Path(docproc.__file__).parents[1])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "docproc.chunkers.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment() | {"PYTHONPATH": path},
            start_new_session=True,  # a Ctrl-C is ours to answer: what is begun is finished
        )
        self.kill = weakref.finalize(self, _kill, self._process)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def chunk(self, spec: str, document: TextFile) -> Iterator[Chunk]:
        """The chunks of ``document``. Raises TransientError ``chunk.worker_died`` when the process died over it."""
        try:
            self._send(spec, document)
            yield from self._received()
        except BrokenPipeError:
            raise self._died() from None

    def _send(self, spec: str, document: TextFile) -> None:
        assert self._process.stdin
        pages = [(page.number, page.start, page.end) for page in document.pages]
        order = {"chunker": spec, "size": document.size, "pages": pages}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        for block in document.blocks():
            self._process.stdin.write(block)
        self._process.stdin.flush()

    def _received(self) -> Iterator[Chunk]:
        assert self._process.stdout
        for line in self._process.stdout:
            if not line.startswith(ENDED):
                yield load(line)
                continue
            if json.loads(line)["ended"] is not None:
                raise TransientError("chunk.no_memory", "the memory did not suffice for its chunks")
            return
        raise self._died()

    def _died(self) -> TransientError:
        code = self._process.wait(_WAIT)
        why = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return TransientError("chunk.worker_died", "the process that chunked it ended", why=why)


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        try:
            assert pipe
            pipe.close()
        except BrokenPipeError:
            continue  # it had died before it had read everything
    process.wait(_WAIT)
