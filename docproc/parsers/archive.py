"""Opens the ZIP archives that Office files are, without trusting what they say of their own size."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

MAX_DIRECTORY_BYTES = 4 * 1024 * 1024
"""Longest list of parts that is read: 200 bytes for each of 20,000 parts; in memory it takes about 15 times that."""


class _Guarded(io.RawIOBase):
    """A file of which no more than ``MAX_DIRECTORY_BYTES`` are read at once while it is ``closed_in``."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.closed_in = True

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        if self.closed_in and size > MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile("the list of parts is too long")
        return self._file.read(size)


@contextmanager
def open_archive(file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    """The archive in ``file``. Raises what ``zipfile`` raises, and BadZipFile for a list of parts that is too long."""
    guarded = _Guarded(file)
    # zipfile asks for read, seek, tell and seekable only.
    with zipfile.ZipFile(cast(BinaryIO, guarded)) as archive:
        guarded.closed_in = False
        yield archive
