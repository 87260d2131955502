"""Counts the pages of a document before it is parsed, where the extra ``local`` is there to do it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import BinaryIO

_COUNTED = frozenset({".pdf", ".pptx", ".xlsx"})
"""Types whose pages, slides or sheets can be counted in the file; DOCX has pages only once it is laid out."""


def pages_in_file(file: BinaryIO, extension: str) -> dict[str, int | None]:
    """``pages_in_file`` for a job's progress, None where they cannot be known; empty where nobody can count here.

    ``file`` has a descriptor; where it stands afterwards is not said.
    """
    if not can_count(extension):
        return {}
    from docproc.parsers.extraction import count_pages

    return {"pages_in_file": count_pages(file, extension)}


def can_count(extension: str) -> bool:
    """Whether files of this type have pages that can be counted here."""
    return extension in _COUNTED and find_spec("kreuzberg") is not None
