"""Tells from a file's first bytes whether it is what its extension says."""

from __future__ import annotations

import zipfile
from typing import BinaryIO

from docproc.parsers import TEXT_EXTENSIONS
from docproc.parsers.archive import open_archive

_OFFICE_PARTS = {".docx": "word/", ".pptx": "ppt/", ".xlsx": "xl/"}
_MAGIC = (
    (b"%PDF-", "a PDF"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old or encrypted Office file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"{\\rtf", "an RTF document"),
)


def contradiction(file: BinaryIO, extension: str) -> str | None:
    """What a file is, when that is not what ``extension`` says; None when they agree or nothing is known.

    Reads the file's beginning, and of an Office file its list of parts; where it stands afterwards is not said.
    """
    head = file.read(1024)
    found = next((name for magic, name in _MAGIC if head.startswith(magic)), None)
    if extension == ".pdf":
        return None if b"%PDF-" in head else found or "no PDF"
    if extension in _OFFICE_PARTS:
        return _office(file, extension) if found == "a ZIP archive" else found or f"no {extension[1:].upper()}"
    if extension in TEXT_EXTENSIONS:
        return found
    return None


def _office(file: BinaryIO, extension: str) -> str | None:
    """None too for a damaged archive: the parser says more exactly what is wrong with it."""
    try:
        with open_archive(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return None
    if any(name.startswith(_OFFICE_PARTS[extension]) for name in names):
        return None
    other = next((ext for ext, part in _OFFICE_PARTS.items() if any(n.startswith(part) for n in names)), None)
    return f"a {other[1:].upper()}" if other else "a ZIP archive"
