"""Storage in a local folder: files written beside their place and renamed, so that none is ever half there."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from docproc.errors import ConfigError, PermanentError, TransientError

_DRAFT = re.compile(r"\.\d+\.[0-9a-f]{16}")
"""The name of a draft: the process that writes it, and chance."""


class LocalDraft:
    """A file beside the objects, which ``keep`` renames to its place."""

    def __init__(self, storage: LocalStorage, path: Path, file: BinaryIO) -> None:
        self._storage = storage
        self._path = path
        self._file = file

    def write(self, data: bytes) -> None:
        """Adds ``data`` at the end."""
        with self._storage.writing():
            self._file.write(data)

    def keep(self, key: str) -> None:
        """Makes the file the object under ``key``: fsync, rename."""
        with self._storage.writing():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._storage.place(self._path, key)


class LocalStorage:
    """Objects as files below ``root``, readable by their owner alone."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, key: str, data: bytes) -> None:
        """Stores ``data`` under ``key``: temporary file, fsync, rename."""
        self._path(key)  # a key that is none is refused before anything is written
        with self.draft() as draft:
            draft.write(data)
            draft.keep(key)

    @contextmanager
    def draft(self) -> Iterator[LocalDraft]:
        """Takes an object in by blocks."""
        path = self._root / f".{os.getpid()}.{os.urandom(8).hex()}"
        with self.writing():
            self._make_private(self._root)
            file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        try:
            yield LocalDraft(self, path, file)
        finally:
            with suppress(OSError):  # what matters was flushed by ``keep``; the first error is the one to tell
                file.close()
            with suppress(OSError):
                path.unlink(missing_ok=True)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turns the trouble of writing a file into TransientError."""
        try:
            yield
        except OSError as error:
            raise TransientError(
                "storage.unavailable", f"cannot write to {self._root}", why=str(error.strerror)
            ) from None

    def place(self, draft: Path, key: str) -> None:
        """Renames a file that is on the disk to the object under ``key``. Raises OSError."""
        path = self._path(key)
        self._make_private(path.parent)
        draft.replace(path)
        self._sync(path.parent)  # or the renaming itself could be lost with the power

    def read(self, key: str) -> bytes:
        """The bytes under ``key``."""
        with self._reading(key):
            return self._path(key).read_bytes()

    def open(self, key: str) -> BinaryIO:
        """The file for ``key``."""
        with self._reading(key):
            return self._path(key).open("rb")

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise PermanentError("storage.missing", f"{key} is not in the storage") from None
        except OSError as error:
            raise TransientError("storage.unavailable", f"cannot read {key}", why=str(error.strerror)) from None

    def exists(self, key: str) -> bool:
        """Whether there is a file for ``key``."""
        return self._path(key).is_file()

    def delete(self, key: str) -> None:
        """Removes the file for ``key``; it is no error when there is none."""
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            raise TransientError("storage.unavailable", f"cannot delete {key}", why=str(error.strerror)) from None

    def keys(self, prefix: str) -> Iterator[str]:
        """Every key that begins with ``prefix``, in order; temporary files of a killed process are none."""
        for path in sorted((self._root / prefix.rpartition("/")[0]).rglob("*")):
            key = path.relative_to(self._root).as_posix()
            if key.startswith(prefix) and path.is_file() and not path.name.startswith("."):
                yield key

    def purge(self, user: str) -> None:
        """Removes the folders of ``user`` with all that is in them."""
        try:
            for folder in (self._path(f"raw/{user}"), self._path(f"parsed/{user}")):
                if folder.is_dir():
                    shutil.rmtree(folder)
        except OSError as error:
            why = str(error.strerror)
            raise TransientError("storage.unavailable", f"cannot delete the files of {user}", why=why) from None

    def age(self, key: str) -> float:
        """Seconds since the file was written; 0 when there is none."""
        try:
            return max(0.0, time.time() - self._path(key).stat().st_mtime)
        except FileNotFoundError:
            return 0.0

    def sweep(self, seconds: float, *, dry_run: bool) -> int:
        """Removes drafts that were last written to more than ``seconds`` ago; counts them."""
        count = 0
        for path in self._root.glob(".*"):
            with suppress(FileNotFoundError):  # its process is alive after all, and has just kept it
                if _DRAFT.fullmatch(path.name) and time.time() - path.stat().st_mtime > seconds:
                    count += 1
                    if not dry_run:
                        path.unlink()
        return count

    def check(self) -> str:
        """The folder. Raises ConfigError when it cannot be written to."""
        present = next(path for path in (self._root, *self._root.parents) if path.exists())
        if not os.access(present, os.W_OK | os.X_OK):
            raise ConfigError("config.invalid", f"the storage folder {self._root} cannot be written to")
        return str(self._root)

    def _make_private(self, folder: Path) -> None:
        """Makes ``folder`` and what is missing above it up to the root, readable by the owner alone."""
        for missing in reversed([f for f in (folder, *folder.parents) if not f.exists()]):
            missing.mkdir(exist_ok=True, mode=0o700)

    @staticmethod
    def _sync(folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if any(part in ("", ".", "..") or part.startswith(".") for part in parts):
            raise ValueError(f"not a storage key: {key!r}")
        return self._root.joinpath(*parts)
