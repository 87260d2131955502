"""ingest: hashes files, keeps their bytes, and makes a job for every document that is new."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from docproc.errors import JobError, PermanentError
from docproc.filetypes import contradiction
from docproc.model import Source, document_id
from docproc.parsers import EXTENSIONS
from docproc.settings import IngestSettings
from docproc.stages.finding import Refused, unreadable
from docproc.storage import BLOCK, Storage, key, raw_uri
from docproc.store import Catalogue, Ingested, Target

READERS = 8
"""Files read and copied at once: most of that time is the disk's, or the storage service's."""

SMALL = 256 * 1024
"""Bytes of a file up to which it is read once, and kept in memory until it is stored."""

TOGETHER = 16
AHEAD = 8
"""Files that a reader takes at a time, and how many such lots are read before their turn has come: 33 MB at most."""

BATCH = 500
BATCH_BYTES = 16_000_000
"""Files, and about how many bytes of them, that are stored and recorded together: a stop waits for the end of one."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A file that may come in; ``data`` is all of it where it is small."""

    source: Source
    data: bytes | None


_Stored = tuple[Source, str] | Refused
"""A file with the address of its bytes, or why they have none."""


def ingest(
    found: Iterable[Path | Refused], *, target: Target, catalogue: Catalogue, storage: Storage, settings: IngestSettings
) -> Iterator[Ingested | Refused]:
    """Brings the files in, several at a time; yields what became of each.

    Bytes are copied into the storage before the job is made, so a file may change or go right after. About 70 MB of
    them are in memory at most, however many files there are.
    """
    storing: Future[list[_Stored]] | None = None
    with _reading() as reading:
        for batch in _batches(reading.read(found, settings)):
            yield from (entry for entry in batch if isinstance(entry, Refused))
            read = [entry for entry in batch if isinstance(entry, _Read)]
            known = catalogue.known(target, [entry.source for entry in read]) if read else []
            yield from known
            settled = {ingested.source.uri for ingested in known}
            missing = [entry for entry in read if entry.source.uri not in settled]
            before, storing = storing, reading.pool.submit(_store, missing, target, storage, settings, reading.pool)
            yield from _record(before, target, catalogue)  # while the bytes of this batch are written
        yield from _record(storing, target, catalogue)


def _record(
    storing: Future[list[_Stored]] | None, target: Target, catalogue: Catalogue
) -> Iterator[Ingested | Refused]:
    stored = storing.result() if storing else []
    yield from (entry for entry in stored if isinstance(entry, Refused))
    brought = [entry for entry in stored if not isinstance(entry, Refused)]
    yield from catalogue.add_all(target, brought) if brought else ()


def looked(found: Iterable[Path | Refused], settings: IngestSettings) -> Iterator[list[Source | Refused]]:
    """What ``ingest`` would read, batch by batch; nothing is stored."""
    with _reading() as reading:
        for batch in _batches(reading.read(found, settings)):
            yield [entry.source if isinstance(entry, _Read) else entry for entry in batch]


def _batches(entries: Iterable[_Read | Refused]) -> Iterator[list[_Read | Refused]]:
    """Cuts ``entries`` into what is stored and recorded together."""
    batch: list[_Read | Refused] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += entry.source.size if isinstance(entry, _Read) else 0
        if len(batch) == BATCH or size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Reading:
    """Threads that read files a little ahead of their turn."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.pool = pool
        self.closed = threading.Event()

    def read(self, found: Iterable[Path | Refused], settings: IngestSettings) -> Iterator[_Read | Refused]:
        """What the files of ``found`` are, in its order."""
        rest = iter(found)
        lots = iter(lambda: list(islice(rest, TOGETHER)), [])
        ahead: deque[Future[list[_Read | Refused]]] = deque()
        ahead.extend(self.pool.submit(self._lot, lot, settings) for lot in islice(lots, AHEAD))
        while ahead:
            done = ahead.popleft().result()
            ahead.extend(self.pool.submit(self._lot, lot, settings) for lot in islice(lots, 1))
            yield from done

    def _lot(self, found: Sequence[Path | Refused], settings: IngestSettings) -> list[_Read | Refused]:
        read: list[_Read | Refused] = []
        for entry in found:
            if self.closed.is_set():
                break
            read.append(entry if isinstance(entry, Refused) else _look(entry, settings))
        return read


@contextmanager
def _reading() -> Iterator[_Reading]:
    """Readers that begin no other file once the context is left."""
    with ThreadPoolExecutor(READERS, thread_name_prefix="docproc-ingest") as pool:
        reading = _Reading(pool)
        try:
            yield reading
        finally:
            reading.closed.set()


def _look(path: Path, settings: IngestSettings) -> _Read | Refused:
    try:
        return _read(path, settings)
    except JobError as error:
        return Refused(os.fspath(path), error)


def _read(path: Path, settings: IngestSettings, take: Callable[[bytes], object] | None = None) -> _Read:
    """What a file's bytes are; ``take`` is given them by blocks. Raises PermanentError ``ingest.*``."""
    name, extension = os.fspath(path), path.suffix.lower()
    if extension not in EXTENSIONS:
        raise PermanentError(
            "ingest.unsupported", f"{name} is not of a supported type", why=extension or "no extension"
        )
    digest, size = hashlib.sha256(), 0
    with _opened(name, settings) as file:
        head = _beginning(file)
        if not head:
            raise PermanentError("ingest.empty", f"{name} is empty")
        data = head if len(head) <= SMALL else None
        _refuse_type(name, extension, BytesIO(data) if data is not None else file)
        for block in [data] if data is not None else _blocks(file):
            size += len(block)
            _refuse_size(name, size, settings)  # it may grow while it is read
            digest.update(block)
            if take is not None:
                take(block)
    return _Read(Source(uri=os.path.abspath(path), extension=extension, sha=digest.hexdigest(), size=size), data)  # noqa: PTH100


@contextmanager
def _opened(name: str, settings: IngestSettings) -> Iterator[BinaryIO]:
    """A file that may come in, at its beginning."""
    try:
        name.encode()
        # Not blocking, so that a FIFO in a folder cannot stop the run.
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - no path is opened
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise PermanentError("ingest.not_regular", f"{name} is not a regular file")
            _refuse_size(name, facts.st_size, settings)
            yield file
    except UnicodeEncodeError:
        raise PermanentError(
            "ingest.unreadable", "a file's name is not UTF-8", why=ascii(name), try_="rename the file"
        ) from None
    except OSError as error:
        raise unreadable(name, error) from None


def _beginning(file: BinaryIO) -> bytes:
    """All of a small file; of a large one more than ``SMALL`` bytes."""
    data = b""
    while len(data) <= SMALL and (block := file.read(SMALL + 1 - len(data))):
        data += block
    return data


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while block := file.read(BLOCK):
        yield block


def _refuse_type(name: str, extension: str, file: BinaryIO) -> None:
    file.seek(0)
    really = contradiction(file, extension)
    if really:
        why = f"it is {really}"
        raise PermanentError("ingest.wrong_type", f"{name} is not what its extension says", why=why)


def _refuse_size(name: str, size: int, settings: IngestSettings) -> None:
    if size > settings.max_bytes:
        why = f"{size:,} bytes, allowed are {settings.max_bytes:,}"
        raise PermanentError("ingest.too_large", f"{name} is too large", why=why)


# ── storing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _store(
    read: Sequence[_Read], target: Target, storage: Storage, settings: IngestSettings, pool: ThreadPoolExecutor
) -> list[_Stored]:
    """Stores what was read: small files together, the same bytes once; large ones from their files, several at once."""
    copied = pool.map(lambda one: _copy(one.source, target, storage, settings), [one for one in read if not one.data])
    uris = [_uri(target, one.source) for one in read]
    small = {key(uri): one.data for one, uri in zip(read, uris, strict=True) if one.data}
    answers = storage.write_all(list(small.items())) if small else []
    errors = dict(zip(small, answers, strict=True))
    stored: list[_Stored] = []
    for one, uri in zip(read, uris, strict=True):
        error = errors.get(key(uri))
        if not one.data:
            stored.append(next(copied))
        else:
            stored.append(Refused(one.source.uri, error) if error else (one.source, uri))
    return stored


def _copy(source: Source, target: Target, storage: Storage, settings: IngestSettings) -> _Stored:
    try:
        with storage.draft() as draft:
            now = _read(Path(source.uri), settings, draft.write).source  # the bytes that are stored name the document
            uri = _uri(target, now)
            draft.keep(key(uri))
    except JobError as error:
        return Refused(source.uri, error)
    return now, uri


def _uri(target: Target, source: Source) -> str:
    return raw_uri(target.user, document_id(target.user, source.sha), source.extension)
