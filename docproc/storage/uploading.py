"""What the backends of services share: a draft that waits in a nameless file, and several uploads at once."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import BinaryIO

from docproc.errors import JobError, TransientError
from docproc.storage import BLOCK

AT_ONCE = 8
"""Small objects on their way at the same time."""

KEY = re.compile(r"(?!\.)[A-Za-z0-9@._-]+(/(?!\.)[A-Za-z0-9@._-]+)*")
"""What a key looks like: ids and user names, never a file's name."""

_OFFICE = "application/vnd.openxmlformats-officedocument"
_CONTENT_TYPES = {
    ".md": "text/markdown; charset=utf-8",
    ".markdown": "text/markdown; charset=utf-8",
    ".txt": "text/plain",
    ".html": "text/html",
    ".htm": "text/html",
    ".json": "application/json",
    ".pdf": "application/pdf",
    ".docx": f"{_OFFICE}.wordprocessingml.document",
    ".pptx": f"{_OFFICE}.presentationml.presentation",
    ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
}


class WaitingDraft:
    """A file of this machine without a name, which ``keep`` uploads."""

    def __init__(self, upload: Callable[[str, bytes | BinaryIO], None], file: BinaryIO) -> None:
        self._upload = upload
        self._file = file

    def write(self, data: bytes) -> None:
        """Adds ``data`` at the end."""
        with on_disk():
            self._file.write(data)

    def keep(self, key: str) -> None:
        """Uploads the file as the object under ``key``."""
        with on_disk():
            size = self._file.tell()
            self._file.seek(0)
            # A file without bytes would be sent without a length, which servers refuse.
            small = self._file.read() if size <= BLOCK else None
        self._upload(key, self._file if small is None else small)


@contextmanager
def waiting_draft(upload: Callable[[str, bytes | BinaryIO], None]) -> Iterator[WaitingDraft]:
    """A draft that ``upload`` sends when it is kept: as bytes up to a block, else as a file at its beginning."""
    with on_disk():
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
    with file:
        yield WaitingDraft(upload, file)


def downloaded(download: Callable[[BinaryIO], None]) -> BinaryIO:
    """A file without a name that ``download`` has filled, at its beginning; the caller closes it."""
    with on_disk():
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            download(file)
            file.seek(0)
        except BaseException:
            file.close()
            raise
    return file


@contextmanager
def on_disk() -> Iterator[None]:
    """Turns the trouble of a file on its way into TransientError."""
    try:
        yield
    except OSError as error:
        why = str(error.strerror)
        raise TransientError("storage.unavailable", "no room for an object on its way", why=why) from None


def upload_all(
    upload: Callable[[str, bytes | BinaryIO], None], objects: Sequence[tuple[str, bytes]]
) -> list[JobError | None]:
    """Sends ``objects``, ``AT_ONCE`` at a time; in their order, what went wrong with each. Raises ProgramError."""
    for key, _ in objects:
        checked(key)

    def answer(thing: tuple[str, bytes]) -> JobError | None:
        try:
            upload(*thing)
        except JobError as error:
            return error
        return None

    if len(objects) < 2:
        return [answer(thing) for thing in objects]
    with ThreadPoolExecutor(min(AT_ONCE, len(objects)), "upload") as pool:
        return list(pool.map(answer, objects))


def checked(key: str) -> str:
    """``key``. Raises ValueError when it is none: ids and user names need no more characters than these."""
    if not KEY.fullmatch(key):
        raise ValueError(f"not a storage key: {key!r}")
    return key


def content_type(key: str) -> str:
    """The media type of the object under ``key``, by its extension."""
    return _CONTENT_TYPES.get(PurePosixPath(key).suffix, "application/octet-stream")
