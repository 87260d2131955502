"""Storage in a local folder: files written beside their place and renamed, so that none is ever half there."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from docproc.errors import ConfigError, PermanentError, TransientError


class LocalStorage:
    """Objects as files below ``root``, readable by their owner alone."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, key: str, data: bytes) -> None:
        """Stores ``data`` under ``key``: temporary file, fsync, rename."""
        path = self._path(key)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            self._make_private(path.parent)
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            self._sync(path.parent)  # or the renaming itself could be lost with the power
        except OSError as error:
            with suppress(OSError):  # the first error is the one to tell
                temporary.unlink(missing_ok=True)
            raise TransientError(
                "storage.unavailable", f"cannot write to {self._root}", why=str(error.strerror)
            ) from None

    def read(self, key: str) -> bytes:
        """The bytes under ``key``."""
        try:
            return self._path(key).read_bytes()
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
        for path in sorted(self._root.rglob("*")):
            key = path.relative_to(self._root).as_posix()
            if key.startswith(prefix) and path.is_file() and not path.name.startswith("."):
                yield key

    def age(self, key: str) -> float:
        """Seconds since the file was written; 0 when there is none."""
        try:
            return max(0.0, time.time() - self._path(key).stat().st_mtime)
        except FileNotFoundError:
            return 0.0

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
