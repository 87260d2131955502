"""Finds the files that are meant: by paths, folders, globs, and lists of these, without what is to be passed over."""

from __future__ import annotations

import codecs
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from glob import has_magic
from pathlib import Path
from typing import BinaryIO

from docproc.errors import ConfigError, DocprocError, PermanentError
from docproc.stages.ignoring import IGNORE_FILE, Pattern, Rules, lines, patterns_of, read_patterns

_BLOCK = 1 << 16
"""Bytes of a list that are read at once; a path has 4,096 at most, so that a list with NUL has one in the first."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that did not come in, and why; the others do."""

    path: str
    error: DocprocError


@dataclass(slots=True)
class Scan:
    """How far a search went: the folders that were named (absolute), and whether all that is in them was seen.

    ``ignore`` are patterns in gitignore's syntax that hold in every one of them. ``complete`` only when the search came
    to its end, every folder could be read, and nothing that was named was missing.
    """

    ignore: Sequence[str] = ()
    roots: list[Path] = field(default_factory=list)
    complete: bool = False
    _patterns: tuple[Pattern, ...] = ()
    _rules: dict[tuple[str, str], Rules] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._patterns = tuple(patterns_of(self.ignore))

    def rules(self, root: str) -> Rules:
        """What is passed over in the folder ``root``, its own ignore file not counted."""
        return Rules().below(root, self._patterns)

    def ignored(self, path: str | Path) -> bool:
        """Whether every root that the absolute ``path`` is under passes it over; False when it is under none."""
        inside = [root for root in self.roots if Path(path) != root and Path(path).is_relative_to(root)]
        return bool(inside) and all(self.ignored_below(os.fspath(root), os.fspath(path)) for root in inside)

    def ignored_below(self, root: str, path: str) -> bool:
        """Whether a search in the folder ``root`` passes over the file ``path``, or over a folder on the way to it."""
        rules, at = self._rules_in(root, root, self.rules(root)), root
        *folders, name = os.path.relpath(path, root).split("/")
        for folder in folders:
            at = os.path.join(at, folder)  # noqa: PTH118
            if rules.ignore(at, is_folder=True):
                return True
            rules = self._rules_in(root, at, rules)
        return rules.ignore(os.path.join(at, name))  # noqa: PTH118

    def _rules_in(self, root: str, folder: str, rules: Rules) -> Rules:
        if (root, folder) not in self._rules:
            with suppress(OSError):  # there is none; one that cannot be read was refused by the search
                rules = rules.below(folder, read_patterns(f"{folder}/{IGNORE_FILE}"))
            self._rules[root, folder] = rules
        return self._rules[root, folder]


def find(
    paths: Sequence[str], *, stdin: BinaryIO | None = None, lists: Sequence[Path] = (), scan: Scan | None = None
) -> Iterator[Path | Refused]:
    """The files that ``paths`` name: files themselves, folders with all below them, globs; ``-`` reads ``stdin``.

    ``stdin`` and ``lists`` hold a path a line, or each path ended by NUL, as from ``find -print0``. Sorted within a
    folder. Links in a folder that lead out of it, and what is no regular file, are refused. ``scan`` says what is to
    be passed over in folders and globs, and afterwards how far the search went. Raises ConfigError for a missing list.
    """
    for file in lists:  # before any file is found, and not when its turn comes
        _refuse_list(file)
    return _find(paths, stdin, lists, scan or Scan())


def _find(paths: Sequence[str], stdin: BinaryIO | None, lists: Sequence[Path], scan: Scan) -> Iterator[Path | Refused]:
    whole = True
    for name in _names(paths, stdin, lists):
        for entry in _named(name, scan):
            # A link that leads out is there, and known not to be meant: nothing was missed.
            whole = whole and (not isinstance(entry, Refused) or entry.error.code == "ingest.outside")
            yield entry
    scan.complete = whole


def _names(paths: Sequence[str], stdin: BinaryIO | None, lists: Sequence[Path]) -> Iterator[str]:
    for name in paths:
        if name != "-":
            yield name
        elif stdin is not None:
            yield from _listed(stdin)
    for file in lists:
        with _open_list(file) as opened:
            yield from _listed(opened)


def _refuse_list(file: Path) -> None:
    """Not by opening it: it may be a pipe, whose writer would find it closed."""
    try:
        is_folder = stat.S_ISDIR(file.stat().st_mode)
    except OSError as error:
        raise _bad_list(file, error) from None
    if is_folder or not os.access(file, os.R_OK):
        number = errno.EISDIR if is_folder else errno.EACCES
        raise _bad_list(file, OSError(number, os.strerror(number)))


def _open_list(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise _bad_list(file, error) from None


def _bad_list(file: Path, error: OSError) -> ConfigError:
    return ConfigError("config.usage", f"the list {file} cannot be read", why=error.strerror or str(error))


def _listed(file: BinaryIO) -> Iterator[str]:
    """The paths of a list, by blocks: one a line, or each ended by NUL where there is one."""
    block = file.read(_BLOCK)
    is_nul = b"\0" in block
    rest = b""
    block = block.removeprefix(codecs.BOM_UTF8)
    while block:
        whole, _, rest = (rest + block).rpartition(b"\0" if is_nul else b"\n")
        yield from _paths(whole, is_nul=is_nul)
        block = file.read(_BLOCK)
    yield from _paths(rest, is_nul=is_nul)


def _paths(data: bytes, *, is_nul: bool) -> Iterator[str]:
    if is_nul:
        yield from (os.fsdecode(path) for path in data.split(b"\0") if path)
    else:
        yield from (line for line in lines(data) if line.strip())


def _named(name: str, scan: Scan) -> Iterator[Path | Refused]:
    path = Path(name)
    try:
        if path.is_dir():
            yield from _folder(os.fspath(path), scan)
        elif path.exists() or path.is_symlink():
            yield path
        else:
            yield from _glob(name, scan)
    except OSError as error:
        yield Refused(name, unreadable(name, error))


def _folder(root: str, scan: Scan) -> Iterator[Path | Refused]:
    scan.roots.append(Path(os.path.abspath(root)))  # noqa: PTH100 - as ingest names its sources
    inside = Path(os.path.realpath(root))
    ahead = [(root, scan.rules(root))]
    while ahead:
        folder, rules = ahead.pop()
        try:
            files, links, folders = _listing(folder)
            if IGNORE_FILE in files:
                rules = rules.below(folder, read_patterns(f"{folder}/{IGNORE_FILE}"))
        except OSError as error:  # of a folder whose rules are not known nothing may come in
            name = os.fspath(error.filename or folder)
            yield Refused(name, unreadable(name, error))
            continue
        for name in sorted(files):
            path = os.path.join(folder, name)  # noqa: PTH118 - no path object for each of very many
            if rules.ignore(path):
                continue
            yield _outside(path) if name in links and not _leads_inside(path, inside) else Path(path)
        below = (os.path.join(folder, name) for name in sorted(folders, reverse=True))  # noqa: PTH118
        ahead += [(path, rules) for path in below if not rules.ignore(path, is_folder=True)]


def _listing(folder: str) -> tuple[list[str], set[str], list[str]]:
    """The names of files, of those that are links, and of folders; links to folders are not followed."""
    files, links, folders = [], set(), []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif not entry.is_symlink():
                files.append(entry.name)
            elif not Path(entry.path).is_dir():
                files.append(entry.name)
                links.add(entry.name)
    return files, links, folders


def _leads_inside(link: str, folder: Path) -> bool:
    # Not Path.resolve, which raises RuntimeError for a link to itself: that one is refused when it is read.
    return Path(os.path.realpath(link)).is_relative_to(folder)


def _outside(link: str) -> Refused:
    return Refused(link, PermanentError("ingest.outside", f"{link} is a link that leads out of the folder"))


def _glob(pattern: str, scan: Scan) -> Iterator[Path | Refused]:
    parts = Path(pattern).parts
    fixed = next((n for n, part in enumerate(parts) if has_magic(part)), len(parts))
    root = Path(*parts[:fixed])
    try:
        matches = sorted(path for path in root.glob(os.path.join("", *parts[fixed:])) if path.is_file())  # noqa: PTH118
    except (ValueError, NotImplementedError):
        matches = []
    meant = [path for path in matches if not scan.ignored_below(os.fspath(root), os.fspath(path))]
    if not meant:
        why = "its matches are passed over" if matches else "no file, folder or glob match"
        yield Refused(pattern, PermanentError("ingest.missing", f"{pattern} does not exist", why=why))
    yield from meant


def unreadable(name: str, error: OSError) -> PermanentError:
    """Why the file or folder ``name`` cannot come in."""
    code = "ingest.missing" if error.errno == errno.ENOENT else "ingest.unreadable"
    return PermanentError(code, f"{name} cannot be read", why=error.strerror or str(error))
