"""Chunkers by name and version: whoever names the same one gets the same chunks from the same text, for ever."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from difflib import get_close_matches
from typing import Protocol

from docproc.chunkers.markdown_simple import MarkdownSimple
from docproc.chunkers.tokens import FixedTokens
from docproc.errors import ConfigError
from docproc.model import Chunk, Document

DEFAULT = "markdown-simple@1"


class Chunker(Protocol):
    """Cuts a document into chunks. ``version`` names everything that changes what comes out."""

    @property
    def name(self) -> str:
        """The chunker's name, without its version."""

    @property
    def version(self) -> str:
        """``1``, or ``1+max=200`` with other parameters than the default."""

    def chunk(self, document: Document) -> Iterator[Chunk]:
        """The chunks of ``document`` in order, ``ord`` counting from 0; the same for the same document, always."""


_CHUNKERS: dict[str, type[MarkdownSimple] | type[FixedTokens]] = {
    "markdown-simple@1": MarkdownSimple,
    "tokens@1": FixedTokens,
}
"""A changed rule is a new version beside the old one, never a change of the old one."""

_PARAMETER = re.compile(r"([a-z]+)=([1-9][0-9]{0,8}|0)", re.ASCII)


def get(spec: str) -> Chunker:
    """The chunker that ``spec`` names: ``markdown-simple@1``, ``tokens@1+max=512+overlap=50``.

    Raises ConfigError (``config.invalid``) for a name, version or parameter that does not exist, for a number out of
    bounds, and for a spelling that is not the canonical one: parameters in order and only those that differ from the
    default, because the spelling becomes part of every chunk's id.
    """
    known, *settings = spec.split("+")
    chunker = _CHUNKERS.get(known)
    if chunker is None:
        nearest = get_close_matches(known, _CHUNKERS, n=1, cutoff=0.0)[0]
        raise _refused(spec, f"there is no chunker {known!r}", f"use {nearest}; there are: {', '.join(_CHUNKERS)}")
    allowed = [one.name for one in fields(chunker)]
    values = dict(_parameter(spec, setting, allowed) for setting in settings)
    made = chunker(**values)
    canonical = f"{made.name}@{made.version}"
    if spec != canonical:
        raise _refused(spec, "its parameters are spelled in another way than they are stored", f"write {canonical}")
    return made


def _parameter(spec: str, setting: str, allowed: list[str]) -> tuple[str, int]:
    match = _PARAMETER.fullmatch(setting)
    if match is None:
        raise _refused(spec, f"{setting!r} is not a name and a whole number", f"write it like {allowed[0]}=200")
    name, number = match.groups()
    if name not in allowed:
        nearest = get_close_matches(name, allowed, n=1, cutoff=0.0)[0]
        raise _refused(spec, f"it has no parameter {name!r}", f"use {nearest}; there are: {', '.join(allowed)}")
    return name, int(number)


def _refused(spec: str, why: str, remedy: str) -> ConfigError:
    return ConfigError("config.invalid", f"the chunker {spec!r} cannot be used", why=f"{why}; {remedy}", try_=remedy)
