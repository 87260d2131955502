"""ingest: finds files, hashes them, keeps their bytes, and makes a job for every document that is new."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from docproc.errors import DocprocError, JobError, PermanentError
from docproc.filetypes import contradiction
from docproc.model import Source, document_id, sha256
from docproc.parsers import EXTENSIONS
from docproc.settings import IngestSettings
from docproc.storage import Storage, key, raw_uri
from docproc.store import Catalogue, Ingested, Target

IGNORED = (".DS_Store", "Thumbs.db", "desktop.ini")
"""Files that systems leave in folders; skipped, like all that begins with a dot or with Office's ``~$``."""

LOOK_UP = 100
"""Files asked about in one round trip."""


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
    """Brings the files in, one after the other; yields what became of each.

    Bytes are copied into the storage before the job is made, so a file may change or go right after.
    """
    rest = iter(found)
    while some := list(islice(rest, LOOK_UP)):
        read = [entry if isinstance(entry, Refused) else _look(entry, settings) for entry in some]
        sources = [entry for entry in read if isinstance(entry, Source)]
        yield from (entry for entry in read if isinstance(entry, Refused))
        known = catalogue.known(target, sources)
        yield from known
        settled = {ingested.source.uri for ingested in known}
        for source in sources:
            if source.uri not in settled:
                yield _bring(source, target, catalogue, storage, settings)


def _bring(
    source: Source, target: Target, catalogue: Catalogue, storage: Storage, settings: IngestSettings
) -> Ingested | Refused:
    try:
        data = _read(Path(source.uri), settings)
        now = _source(Path(source.uri), data)  # the bytes that are stored are the bytes that name the document
        uri = raw_uri(target.user, document_id(target.user, now.sha), now.extension)
        storage.write(key(uri), data)
        return catalogue.add(target, now, uri)
    except JobError as error:
        return Refused(source.uri, error)


def _look(path: Path, settings: IngestSettings) -> Source | Refused:
    try:
        return _source(path, _read(path, settings))
    except JobError as error:
        return Refused(os.fspath(path), error)


def _source(path: Path, data: bytes) -> Source:
    return Source(uri=os.path.abspath(path), extension=path.suffix.lower(), sha=sha256(data), size=len(data))  # noqa: PTH100


def _read(path: Path, settings: IngestSettings) -> bytes:
    """The bytes of a file that may come in. Raises PermanentError ``ingest.*``."""
    name, extension = os.fspath(path), path.suffix.lower()
    if extension not in EXTENSIONS:
        raise PermanentError(
            "ingest.unsupported", f"{name} is not of a supported type", why=extension or "no extension"
        )
    try:
        name.encode()
        # Not blocking, so that a FIFO in a folder cannot stop the run.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise PermanentError("ingest.not_regular", f"{name} is not a regular file")
            if facts.st_size > settings.max_bytes:
                size = f"{facts.st_size:,} bytes, allowed are {settings.max_bytes:,}"
                raise PermanentError("ingest.too_large", f"{name} is too large", why=size)
            data = file.read()
    except UnicodeEncodeError:
        raise PermanentError(
            "ingest.unreadable", "a file's name is not UTF-8", why=ascii(name), try_="rename the file"
        ) from None
    except OSError as error:
        raise _unreadable(name, error) from None
    if not data:
        raise PermanentError("ingest.empty", f"{name} is empty")
    really = contradiction(data, extension)
    if really:
        raise PermanentError("ingest.wrong_type", f"{name} is not what its extension says", why=f"it is {really}")
    return data


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
