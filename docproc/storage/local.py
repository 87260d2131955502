"""Storage in a local folder: files written beside their place and renamed, so that none is ever half there."""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from docproc.errors import ConfigError, JobError, PermanentError, TransientError
from docproc.storage import Stored
from docproc.storage.together import NEW, draft_in, sync_folder, write_together

_DRAFT = re.compile(r"\.\d+\.[0-9a-f]{16}")
"""The name of a draft, as ``draft_in`` makes it."""


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

    def write_all(self, objects: Sequence[tuple[str, bytes]]) -> list[JobError | None]:
        """Stores small objects with one sync for all of them; in their order, what went wrong with each."""
        files = [(self._path(key), data) for key, data in objects]
        errors = write_together(self._root, files, self._make_private)
        return [None if error is None else self._unwritable(error) for error in errors]

    @contextmanager
    def draft(self) -> Iterator[LocalDraft]:
        """Takes an object in by blocks."""
        path = draft_in(self._root)
        with self.writing():
            self._make_private(self._root)
            file = os.fdopen(os.open(path, NEW, 0o600), "wb")
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
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> TransientError:
        return TransientError("storage.unavailable", f"cannot write to {self._root}", why=str(error.strerror))

    def place(self, draft: Path, key: str) -> None:
        """Renames a file that is on the disk to the object under ``key``. Raises OSError."""
        path = self._path(key)
        self._make_private(path.parent)
        draft.replace(path)
        sync_folder(path.parent)  # or the renaming itself could be lost with the power

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
            raise self._unreadable(key, error) from None

    @staticmethod
    def _unreadable(key: str, error: OSError) -> TransientError:
        return TransientError("storage.unavailable", f"cannot read {key}", why=str(error.strerror))

    def exists(self, key: str) -> bool:
        """Whether there is a file for ``key``."""
        return self._path(key).is_file()

    def delete(self, key: str) -> None:
        """Removes the file for ``key``; it is no error when there is none."""
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            raise TransientError("storage.unavailable", f"cannot delete {key}", why=str(error.strerror)) from None

    def objects(self, prefix: str) -> Iterator[Stored]:
        """Every object whose key begins with ``prefix``, in order; temporary files of a killed process are none.

        A folder's names are read before its objects are given, so that they may be deleted meanwhile.
        """
        folder, slash, _ = prefix.rpartition("/")
        now = time.time()
        for name in self._names(folder):
            key = f"{folder}{slash}{name}"
            # Links are followed, as by ``read``: a folder of the storage may have been moved to another disk.
            facts = self._facts(key) if key.startswith(prefix) else None
            if facts is not None and stat.S_ISDIR(facts.st_mode):
                yield from self.objects(f"{key}/")
            elif facts is not None and stat.S_ISREG(facts.st_mode):
                yield Stored(key, facts.st_size, max(0.0, now - facts.st_mtime))

    def _names(self, folder: str) -> list[str]:
        try:
            with os.scandir(self._root / folder) as entries:
                return sorted(entry.name for entry in entries if not entry.name.startswith("."))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise self._unreadable(folder, error) from None

    def _facts(self, key: str) -> os.stat_result | None:
        try:
            return os.stat(f"{self._root}/{key}")  # noqa: PTH116 - no path object for each of very many
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._unreadable(key, error) from None

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

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if any(part in ("", ".", "..") or part.startswith(".") for part in parts):
            raise ValueError(f"not a storage key: {key!r}")
        return self._root.joinpath(*parts)
