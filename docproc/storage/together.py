"""Writes many small files with one sync: drafts first, then their renaming, so that none is ever half there."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

FEW = 8
"""Files up to which each is synced by itself: a sync of all waits for what other programs have written, too."""

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def write_together(
    root: Path, files: Sequence[tuple[Path, bytes]], make: Callable[[Path], None]
) -> list[OSError | None]:
    """Writes ``files`` below ``root``, replacing what was there; in their order, what went wrong with each.

    ``make`` makes a folder that is missing. A process that is killed here leaves drafts in ``root`` and whole files.
    """
    batch = _Batch(root, files)
    try:
        batch.write(make)
        batch.place()
    finally:
        batch.clear()
    return batch.errors


def draft_in(root: Path) -> Path:
    """The name of a new draft: the process that writes it, and chance."""
    return root / f".{os.getpid()}.{os.urandom(8).hex()}"


def sync_folder(folder: Path) -> None:
    """Makes what was renamed in ``folder`` last. Raises OSError."""
    with _opened(folder) as descriptor:
        os.fsync(descriptor)


class _Batch:
    """Files on their way together, each with the first thing that went wrong with it."""

    def __init__(self, root: Path, files: Sequence[tuple[Path, bytes]]) -> None:
        self._root = root
        self._files = files
        self._all = range(len(files))
        self._folders: dict[Path, list[int]] = {}
        for n, (path, _) in enumerate(files):
            self._folders.setdefault(path.parent, []).append(n)
        self._drafts: dict[int, Path] = {}
        self.errors: list[OSError | None] = [None] * len(files)

    def write(self, make: Callable[[Path], None]) -> None:
        """Makes the folders, writes the drafts, and syncs them."""
        for folder, numbers in {self._root: self._all, **self._folders}.items():
            with self._telling(numbers):
                make(folder)
        sync = _syncfs() if len(self._files) > FEW else None
        if sync is None:
            self._write_drafts(sync=True)
            return
        with self._telling(self._all), _opened(self._root) as descriptor:  # it tells of errors from now on
            self._write_drafts(sync=False)
            sync(descriptor)

    def place(self) -> None:
        """Renames the drafts, then syncs the folders that they came to."""
        for n in self._good(self._all):
            with self._telling([n]):
                os.replace(self._drafts[n], self._files[n][0])  # noqa: PTH105 - no path object for each of very many
                del self._drafts[n]
        for folder, numbers in self._folders.items():
            if self._good(numbers):
                with self._telling(numbers):
                    sync_folder(folder)

    def clear(self) -> None:
        """Removes the drafts that did not become files."""
        for draft in self._drafts.values():
            with suppress(OSError):  # the first error is the one to tell
                draft.unlink(missing_ok=True)

    def _write_drafts(self, *, sync: bool) -> None:
        for n in self._good(self._all):
            with self._telling([n]):
                self._write_draft(n, sync=sync)

    def _write_draft(self, n: int, *, sync: bool) -> None:
        draft = draft_in(self._root)
        self._drafts[n] = draft  # before it is there, or an interruption would leave it
        descriptor = os.open(draft, NEW, 0o600)
        try:
            rest = memoryview(self._files[n][1])
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _good(self, numbers: Iterable[int]) -> list[int]:
        return [n for n in numbers if self.errors[n] is None]

    @contextmanager
    def _telling(self, numbers: Iterable[int]) -> Iterator[None]:
        """What goes wrong went wrong with all those of ``numbers`` that were good until now."""
        try:
            yield
        except OSError as error:
            for n in self._good(numbers):
                self.errors[n] = error


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@cache
def _syncfs() -> Callable[[int], None] | None:
    """Writes the file system of a descriptor to its disk; None where that is not to be had, or not to be relied on."""
    if sys.platform != "linux" or not _tells_errors(os.uname().release):
        return None
    import ctypes

    try:
        call = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return None

    def sync(descriptor: int) -> None:
        if call(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    return sync


def _tells_errors(release: str) -> bool:
    """Whether a Linux of this ``release`` lets syncfs tell that bytes were not written: from 5.8 on."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return found is not None and (int(found[1]), int(found[2])) >= (5, 8)
