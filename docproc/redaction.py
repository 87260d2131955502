"""What may be told to a log, a person or a row: texts without secrets, and others' words without what they quote."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from docproc.errors import DocprocError

if TYPE_CHECKING:
    from docproc.settings import Secrets

GAP = "…"
"""Stands where something was taken out."""

MOST_WORDS = 200
"""Characters of another program's words that are kept."""

SHORTEST = 4
"""Characters from which on a secret is looked for by its value: a shorter one stands in every second word."""

_ALONE_BELOW = 8  # a value shorter than this counts only where it stands alone, or it would cut words to pieces

# What looks like a key, whoever it belongs to. `\1` is kept.
_SHAPES = re.compile(
    r"(?P<user>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s\"']*@"  # up to the last @: a password may hold one
    r"|\b(?:sk|llx)-[\w-]{8,}|\bsb_(?:secret|publishable)_[\w-]+|\beyJ[\w-]{8,}(?:\.[\w-]+)*"
    r"|(?P<scheme>\bbearer\s+)[\w.~+/=-]{6,}"
    r"|(?P<header>\b(?:authorization|(?:x-)?api-?key)\b[\"']*\s*[:=]\s*[\"']?(?:basic\s+|bearer\s+)?)[^\s\"',}]+"
    r"|(?P<word>\bpass(?:word|wd)?\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s&]+)",
    re.IGNORECASE,
)
_NOTHING = re.compile(r"(?!)")

_OPENING = re.compile(r"(?<!\w)[\"'`“‘«]")
_CLOSING = {"“": "”", "‘": "’", "«": "»"}
_REST = re.compile(r"\b(?:DETAIL|CONTEXT|LINE \d+|Failing row contains)\b")

# Their messages speak of the program's names and types, those of others may hold any value.
_OF_THE_PROGRAM = (TypeError, AttributeError, NameError, ImportError, NotImplementedError, ArithmeticError)


class Redactor:
    """Takes out of a text what looks like a key, and the values it was told of, in the forms in which they appear."""

    def __init__(self) -> None:
        self._values: frozenset[str] = frozenset()
        self._known = _NOTHING

    def learn(self, values: Iterable[str]) -> None:
        """Knows ``values`` from now on, besides those it knew."""
        self._values |= {form for value in values for form in _forms(value) if len(form) >= SHORTEST}
        longest_first = sorted(self._values, key=len, reverse=True)
        self._known = re.compile("|".join(map(_pattern, longest_first)) or "(?!)")

    def __call__(self, text: str) -> str:
        """``text`` with a gap in place of every secret."""
        return _SHAPES.sub(_kept, self._known.sub(GAP, text))


redact = Redactor()
"""This process's own; it knows a key's shape from the start, and the configured secrets once ``learn_secrets`` ran."""


def learn_secrets(secrets: Secrets) -> None:
    """Tells ``redact`` of the keys and the passwords that the environment holds."""
    for field in fields(secrets):
        value = getattr(secrets, field.name)
        if value:
            redact.learn(_passwords(value) if field.name.endswith("_url") else [value])


def unquoted(words: str) -> str:
    """The first line of another program's words without what it quotes: an error likes to quote what it was given.

    At most ``MOST_WORDS`` characters. What stands between the first opening and the last closing mark goes, so that
    marks inside of the quotation do not save parts of it; where nothing closes, all the rest goes.
    """
    line = next(iter(words.strip().splitlines()), "")
    cut = _REST.search(line)
    line = line[: cut.start()] if cut else line
    while opening := _OPENING.search(line):
        at = opening.start()
        end = line.rfind(_CLOSING.get(line[at], line[at]))
        line = line[:at] + GAP + (line[end + 1 :] if end > at else "")
    return redact(line.strip())[:MOST_WORDS]


def words_of(error: BaseException) -> str:
    """What may be told of ``error`` beside its type: never a row's values, an answer's body or a document's text."""
    if isinstance(error, DocprocError):
        return redact(str(error))
    if hasattr(error, "sqlstate"):
        return _words_of_database(error)
    if isinstance(error, OSError):
        return error.strerror or ""
    return unquoted(str(error)) if isinstance(error, _OF_THE_PROGRAM) else ""


def _words_of_database(error: BaseException) -> str:
    """The first line, which names tables and constraints; rows stand in the detail, values in those of class 22."""
    line = next(iter(str(error).strip().splitlines()), "")
    return unquoted(line) if str(getattr(error, "sqlstate", "") or "").startswith("22") else redact(line)


def _kept(match: re.Match[str]) -> str:
    kept = next((part for part in match.groupdict().values() if part), "")
    return f"{kept}{GAP}@" if match["user"] else f"{kept}{GAP}"


def _pattern(value: str) -> str:
    return re.escape(value) if len(value) >= _ALONE_BELOW else rf"(?<!\w){re.escape(value)}(?!\w)"


def _forms(value: str) -> Iterator[str]:
    """``value`` itself, percent-encoded and decoded, and as a JSON document or a repr shows it."""
    for form in {value, unquote(value)}:
        yield from (form, quote(form, safe=""), quote(form), json.dumps(form)[1:-1], repr(form)[1:-1])


def _passwords(address: str) -> Iterator[str]:
    """The passwords in a URL or a conninfo of key=value pairs."""
    for found in re.finditer(r"(?i)\bpass(?:word|wd)?\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s&]+))", address):
        yield from (part for part in found.groups() if part)
    login, at, _ = address.partition("://")[2].rpartition("@")
    if at:
        password = login.partition(":")[2]
        yield password
        # Not encoded, a mark inside of it ends it for libpq, whose message then shows the rest as a host.
        yield from re.split(r"[@/?#:]", password)
