"""A storage over another: what is written stays in a folder of its own and is forgotten; below nothing changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from docproc.errors import PermanentError

if TYPE_CHECKING:
    from docproc.storage import Objects


class _Draft:
    """A file of the overlay on its way in."""

    def __init__(self, file: BinaryIO, place: Callable[[str], Path]) -> None:
        self._file = file
        self._place = place

    def write(self, data: bytes) -> None:
        """Adds ``data`` at the end."""
        self._file.write(data)

    def keep(self, key: str) -> None:
        """Makes it the object under ``key``."""
        self._file.flush()
        Path(self._file.name).replace(self._place(key))


class Overlay:
    """As much of a storage as the stages ask for when they work on one document at a time."""

    def __init__(self, below: Objects | None, folder: Path) -> None:
        self._below = below
        self._folder = folder
        self._laid: dict[str, Path] = {}

    def lay(self, key: str, path: Path) -> None:
        """Shows the file at ``path`` as the object under ``key``."""
        self._laid[key] = path

    def clear(self) -> None:
        """Forgets all that was written and laid."""
        for path in set(self._laid.values()):
            if path.parent == self._folder:
                path.unlink(missing_ok=True)
        self._laid.clear()

    def write(self, key: str, data: bytes) -> None:
        """Keeps ``data`` under ``key`` in the overlay."""
        self._place(key).write_bytes(data)

    @contextmanager
    def draft(self) -> Iterator[_Draft]:
        """Takes an object of the overlay in by blocks."""
        path = self._folder / "draft"
        with path.open("wb") as file:
            yield _Draft(file, self._place)
        path.unlink(missing_ok=True)

    def read(self, key: str) -> bytes:
        """The bytes under ``key``."""
        with self.open(key) as file:
            return file.read()

    def open(self, key: str) -> BinaryIO:
        """The object under ``key``. Raises PermanentError ``storage.missing``."""
        if key in self._laid:
            return self._laid[key].open("rb")
        if self._below is None:
            raise PermanentError("storage.missing", f"{key} is not in the storage")
        return self._below.open(key)

    def exists(self, key: str) -> bool:
        """Whether there is an object under ``key``."""
        return key in self._laid or (self._below is not None and self._below.exists(key))

    def _place(self, key: str) -> Path:
        path = self._laid[key] = self._folder / key.replace("/", os.pathsep)
        return path
