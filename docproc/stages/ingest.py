"""ingest: finds files, hashes them, keeps their bytes, and makes a job for every document that is new."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from docproc.errors import DocprocError, JobError, PermanentError
from docproc.filetypes import contradiction
from docproc.model import Source, document_id
from docproc.parsers import EXTENSIONS
from docproc.settings import IngestSettings
from docproc.storage import BLOCK, Storage, key, raw_uri
from docproc.store import Catalogue, Ingested, Target

IGNORED = (".DS_Store", "Thumbs.db", "desktop.ini")
"""Files that systems leave in folders; skipped, like all that begins with a dot or with Office's ``~$``."""

LOOK_UP = 500
"""Files asked about in one round trip."""

READERS = 8
"""Files read and copied at once: most of that time is the disk's, or the storage service's."""

BATCH = 100
BATCH_BYTES = 64_000_000
"""Files, and about how many bytes of them, that are copied before their jobs are made together."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that did not come in, and why; the others do."""

    path: str
    error: DocprocError


def find(paths: Sequence[str], *, stdin: Iterable[str] = ()) -> Iterator[Path | Refused]:
    """The files that ``paths`` name: files themselves, folders with all below them, globs; ``-`` reads ``stdin`` lines.

    Sorted within a folder. Links in a folder that lead out of it, and what is no regular file, are refused.
    """
    for name in paths:
        if name == "-":
            yield from find([line.rstrip("\n") for line in stdin if line.strip()])
            continue
        path = Path(name)
        try:
            if path.is_dir():
                yield from _folder(path)
            elif path.exists() or path.is_symlink():
                yield path
            else:
                yield from _glob(name)
        except OSError as error:
            yield Refused(name, _unreadable(name, error))


def ingest(
    found: Iterable[Path | Refused], *, target: Target, catalogue: Catalogue, storage: Storage, settings: IngestSettings
) -> Iterator[Ingested | Refused]:
    """Brings the files in, several at a time; yields what became of each.

    Bytes are copied into the storage before the job is made, so a file may change or go right after.
    """
    rest = iter(found)
    with ThreadPoolExecutor(READERS, thread_name_prefix="docproc-ingest") as pool:
        while some := list(islice(rest, LOOK_UP)):
            read = list(pool.map(lambda entry: entry if isinstance(entry, Refused) else _look(entry, settings), some))
            sources = [entry for entry in read if isinstance(entry, Source)]
            yield from (entry for entry in read if isinstance(entry, Refused))
            known = catalogue.known(target, sources)
            yield from known
            settled = {ingested.source.uri for ingested in known}
            for batch in _batches([source for source in sources if source.uri not in settled]):
                brought = list(pool.map(lambda source: _bring(source, target, storage, settings), batch))
                yield from (entry for entry in brought if isinstance(entry, Refused))
                yield from catalogue.add_all(target, [entry for entry in brought if not isinstance(entry, Refused)])


def _batches(sources: Iterable[Source]) -> Iterator[list[Source]]:
    """Cuts ``sources`` into what is copied and recorded together: a stop waits for the end of one batch."""
    batch: list[Source] = []
    for source in sources:
        if len(batch) == BATCH or sum(one.size for one in batch) > BATCH_BYTES:
            yield batch
            batch = []
        batch.append(source)
    if batch:
        yield batch


def _bring(source: Source, target: Target, storage: Storage, settings: IngestSettings) -> tuple[Source, str] | Refused:
    try:
        with storage.draft() as draft:
            now = _read(Path(source.uri), settings, draft.write)  # the bytes that are stored name the document
            uri = raw_uri(target.user, document_id(target.user, now.sha), now.extension)
            draft.keep(key(uri))
    except JobError as error:
        return Refused(source.uri, error)
    return now, uri


def _look(path: Path, settings: IngestSettings) -> Source | Refused:
    try:
        return _read(path, settings)
    except JobError as error:
        return Refused(os.fspath(path), error)


def _read(path: Path, settings: IngestSettings, take: Callable[[bytes], None] | None = None) -> Source:
    """What a file's bytes are; ``take`` is given them by blocks. Raises PermanentError ``ingest.*``."""
    name, extension = os.fspath(path), path.suffix.lower()
    if extension not in EXTENSIONS:
        raise PermanentError(
            "ingest.unsupported", f"{name} is not of a supported type", why=extension or "no extension"
        )
    digest, size = hashlib.sha256(), 0
    with _opened(name, extension, settings) as file:
        while block := file.read(BLOCK):
            size += len(block)
            _refuse_size(name, size, settings)  # it may grow while it is read
            digest.update(block)
            if take is not None:
                take(block)
    if not size:
        raise PermanentError("ingest.empty", f"{name} is empty")
    return Source(uri=os.path.abspath(path), extension=extension, sha=digest.hexdigest(), size=size)  # noqa: PTH100


@contextmanager
def _opened(name: str, extension: str, settings: IngestSettings) -> Iterator[BinaryIO]:
    """A file that may come in, at its beginning."""
    try:
        name.encode()
        # Not blocking, so that a FIFO in a folder cannot stop the run.
        with os.fdopen(os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise PermanentError("ingest.not_regular", f"{name} is not a regular file")
            _refuse_size(name, facts.st_size, settings)
            really = contradiction(file, extension) if facts.st_size else None
            if really:
                why = f"it is {really}"
                raise PermanentError("ingest.wrong_type", f"{name} is not what its extension says", why=why)
            file.seek(0)
            yield file
    except UnicodeEncodeError:
        raise PermanentError(
            "ingest.unreadable", "a file's name is not UTF-8", why=ascii(name), try_="rename the file"
        ) from None
    except OSError as error:
        raise _unreadable(name, error) from None


def _refuse_size(name: str, size: int, settings: IngestSettings) -> None:
    if size > settings.max_bytes:
        why = f"{size:,} bytes, allowed are {settings.max_bytes:,}"
        raise PermanentError("ingest.too_large", f"{name} is too large", why=why)


def _folder(root: Path) -> Iterator[Path | Refused]:
    inside = root.resolve()
    closed: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=closed.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name in IGNORED or name.startswith((".", "~$")):
                continue
            path = Path(folder, name)
            # Not Path.resolve, which raises RuntimeError for a link to itself: that one is left to _read.
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(inside):
                outside = PermanentError("ingest.outside", f"{path} is a link that leads out of the folder")
                yield Refused(os.fspath(path), outside)
            else:
                yield path
    for error in closed:
        yield Refused(str(error.filename), _unreadable(str(error.filename), error))


def _glob(pattern: str) -> Iterator[Path | Refused]:
    anchor = Path(Path(pattern).anchor)
    relative = os.path.relpath(pattern, anchor) if anchor.parts else pattern
    try:
        matches = sorted(path for path in anchor.glob(relative) if path.is_file())
    except (ValueError, NotImplementedError):
        matches = []
    if not matches:
        missing = PermanentError("ingest.missing", f"{pattern} does not exist", why="no file, folder or glob match")
        yield Refused(pattern, missing)
    yield from matches


def _unreadable(name: str, error: OSError) -> PermanentError:
    code = "ingest.missing" if error.errno == errno.ENOENT else "ingest.unreadable"
    return PermanentError(code, f"{name} cannot be read", why=error.strerror or str(error))
