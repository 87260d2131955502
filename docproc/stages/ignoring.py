"""What is passed over in folders: the litter of systems and editors, and what patterns in gitignore's syntax name."""

from __future__ import annotations

import codecs
import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

IGNORE_FILE = ".docprocignore"
"""Holds patterns for the folder that it stands in and all below."""

_NAMES = ("thumbs.db", "desktop.ini")
_BEGINNINGS = (".", "~$")
_ENDINGS = (".tmp", ".part", ".crdownload")
_FOLDERS = ("__macosx",)

_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "lower": "a-z",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\s",
    "upper": "A-Z",
    "xdigit": "a-fA-F0-9",
}
_NOTHING = "(?!)"
_STARS = re.compile(r"((?:^|(?<=/))\*{2,}(/|\Z))|\*+")
_CLASS = re.compile(r"\[([!^]?)(\]?(?:\[:\w+:\]|\\.|[^\]\\])*)\]", re.DOTALL)
_MEMBER = re.compile(r"\[:(\w+):\]|(\\.|.)(?:-(\\.|.))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of an ignore file: by the name of a file or folder, or by its path below the file's own folder."""

    regex: re.Pattern[str]
    by_name: bool
    only_folders: bool
    brings_back: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """What is passed over: what is built in, then patterns of a folder and of those above it, the nearest first."""

    layers: tuple[tuple[str, tuple[Pattern, ...]], ...] = ()

    def below(self, folder: str, patterns: Iterable[Pattern]) -> Rules:
        """These rules and ``patterns``, which hold from ``folder`` down and win over the others."""
        found = tuple(patterns)
        return Rules((*self.layers, (os.path.join(folder, ""), found))) if found else self  # noqa: PTH118

    def ignore(self, path: str, *, is_folder: bool = False) -> bool:
        """Whether the file or folder at ``path`` is passed over, when the folder that it is in is not.

        As in git the last pattern that matches decides, and nothing in a folder that is passed over comes back.
        """
        name = path.rpartition("/")[2]
        if _is_litter(name.lower(), is_folder=is_folder):  # else `!*.md` would bring back what macOS leaves
            return True
        for base, patterns in reversed(self.layers):
            below = path[len(base) :]
            for pattern in reversed(patterns):
                if pattern.only_folders and not is_folder:
                    continue
                if pattern.regex.fullmatch(name if pattern.by_name else below):
                    return not pattern.brings_back
        return False


def patterns_of(lines: Iterable[str]) -> Iterator[Pattern]:
    """The patterns of ``lines`` in gitignore's syntax; comments and blank lines are none."""
    for line in lines:
        text = re.sub(r"(?<!\\) +\Z", "", line)
        if not text or text.startswith("#"):
            continue
        brings_back = text.startswith("!")
        text = text[brings_back:]
        only_folders = text.endswith("/")
        text = text.removesuffix("/")
        if text:
            regex = re.compile(_regex(text.removeprefix("/")), re.DOTALL)
            yield Pattern(regex, "/" not in text, only_folders, brings_back)


def read_patterns(file: str) -> Sequence[Pattern]:
    """The patterns of an ignore file. Raises OSError when it cannot be read."""
    # Not blocking, so that a FIFO of this name cannot stop the run.
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", file)
        return tuple(patterns_of(lines(opened.read().removeprefix(codecs.BOM_UTF8))))


def lines(data: bytes) -> Iterator[str]:
    """The lines of a text that names files: without LF or CR LF, with whatever bytes a name may have."""
    for line in data.split(b"\n"):
        yield os.fsdecode(line.removesuffix(b"\r"))


def _is_litter(name: str, *, is_folder: bool) -> bool:
    if is_folder:
        return name.startswith(".") or name in _FOLDERS
    return name.startswith(_BEGINNINGS) or name.endswith(_ENDINGS) or name in _NAMES


def _regex(glob: str) -> str:
    """The regular expression that matches as a whole what ``glob`` does; one that is malformed matches nothing."""
    made: list[str] = []
    at = 0
    while at < len(glob):
        if glob[at] == "*" and (stars := _STARS.match(glob, at)):
            made.append(_anything(stars))
            at = stars.end()
        elif glob[at] == "[":
            found = _CLASS.match(glob, at)
            if found is None:
                return _NOTHING
            made.append(_class(found[2], negated=bool(found[1])))
            at = found.end()
        elif glob[at] == "\\":
            if at + 1 == len(glob):
                return _NOTHING
            made.append(re.escape(glob[at + 1]))
            at += 2
        else:
            made.append("[^/]" if glob[at] == "?" else re.escape(glob[at]))
            at += 1
    return "".join(made)


def _anything(stars: re.Match[str]) -> str:
    """``**/`` is any folders or none, ``**`` at the end all below, every other ``*`` anything of one name."""
    if stars[1] is None:
        return "[^/]*"
    return "(?:.+/)?" if stars[2] else ".+"


def _class(members: str, *, negated: bool) -> str:
    made = ""
    for found in _MEMBER.finditer(members):
        if found[1]:
            if found[1] not in _CLASSES:
                return _NOTHING
            made += _CLASSES[found[1]]
            continue
        first, last = found[2][-1], (found[3] or found[2])[-1]
        if first <= last:
            made += f"{re.escape(first)}-{re.escape(last)}"
    if not made:
        return "[^/]" if negated else _NOTHING
    return f"(?!/)[{'^' if negated else ''}{made}]"
