"""Holds the look at a file's first bytes to what real files of each kind begin with."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docproc import filetypes
from docproc.parsers import EXTENSIONS, TEXT_EXTENSIONS
from docproc.parsers.archive import MAX_DIRECTORY_BYTES

FIXTURES = Path(__file__).parents[2] / "fixtures" / "documents"
DOCUMENTS = sorted(path for path in FIXTURES.iterdir() if path.suffix in EXTENSIONS)


def archive(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        for name in names:
            # With a date of its own: the bytes must be the same in every process that collects the tests.
            opened.writestr(zipfile.ZipInfo(name), "<xml/>")
    return made.getvalue()


def contradiction(data: bytes, extension: str) -> str | None:
    return filetypes.contradiction(io.BytesIO(data), extension)


def shortly(value: object) -> str:
    """The name of a parameter: of bytes, what they begin with and how many they are."""
    return f"{value[:8]!r}-{len(value)}" if isinstance(value, bytes) else str(value)


PDF = b"%PDF-1.7\n"
DOCX = archive("[Content_Types].xml", "word/document.xml")
PPTX = archive("[Content_Types].xml", "ppt/presentation.xml")
XLSX = archive("[Content_Types].xml", "xl/workbook.xml")
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
PNG = b"\x89PNG\r\n\x1a\n"

FOUND = ("no PDF", "no DOCX", "no PPTX", "no XLSX", "a ZIP archive", "a DOCX", "a PPTX", "a XLSX")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_real_document_is_what_it_says(path: Path) -> None:
    assert contradiction(path.read_bytes(), path.suffix) is None


def test_there_are_real_documents_of_every_paid_kind() -> None:
    assert {path.suffix for path in DOCUMENTS} >= {".pdf", ".docx", ".pptx", ".xlsx", ".md", ".txt", ".html"}


@pytest.mark.parametrize(
    ("data", "extension", "found"),
    [
        (PDF, ".pdf", None),
        (b"\r\n" * 500 + PDF, ".pdf", None),
        (b"\r\n" * 512 + PDF, ".pdf", "no PDF"),
        (b"Dear Sir", ".pdf", "no PDF"),
        (b"", ".pdf", "no PDF"),
        (PNG, ".pdf", "a PNG image"),
        (DOCX, ".pdf", "a ZIP archive"),
        (DOCX, ".docx", None),
        (PPTX, ".pptx", None),
        (XLSX, ".xlsx", None),
        (XLSX, ".docx", "a XLSX"),
        (DOCX, ".pptx", "a DOCX"),
        (archive("photo.jpg"), ".docx", "a ZIP archive"),
        (archive("sword/document.xml"), ".docx", "a ZIP archive"),
        (OLE, ".docx", "an old or encrypted Office file"),
        (PDF, ".xlsx", "a PDF"),
        (b"name;price\n", ".xlsx", "no XLSX"),
        (b"", ".pptx", "no PPTX"),
        (DOCX[:-30], ".docx", None),
        (DOCX[:100], ".docx", None),
    ],
    ids=shortly,
)
def test_paid_kinds_are_told_by_their_content(data: bytes, extension: str, found: str | None) -> None:
    assert contradiction(data, extension) == found


@pytest.mark.parametrize("extension", sorted(TEXT_EXTENSIONS))
@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"# Title\n", None),
        (b"<!doctype html>", None),
        (b"\xff\xfeT\x00", None),
        (b"", None),
        (b"P", None),
        (b"see %PDF-1.7", None),
        (PDF, "a PDF"),
        (DOCX, "a ZIP archive"),
        (OLE, "an old or encrypted Office file"),
        (PNG, "a PNG image"),
        (b"\xff\xd8\xff\xe0", "a JPEG image"),
        (b"GIF89a", "a GIF image"),
        (b"\x7fELF\x02", "a program"),
        (b"MZ\x90\x00", "a program"),
        (b"\x1f\x8b\x08", "a gzip archive"),
        (b"{\\rtf1\\ansi", "an RTF document"),
    ],
    ids=shortly,
)
def test_text_kinds_hold_no_binary_file(extension: str, data: bytes, found: str | None) -> None:
    assert contradiction(data, extension) == found


def test_nothing_is_known_of_other_extensions() -> None:
    assert contradiction(PNG, ".png") is None
    assert contradiction(PDF, "") is None


@given(
    st.sampled_from([DOCX, PPTX, XLSX]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=30),
    st.integers(4, 400),
    st.sampled_from(sorted(EXTENSIONS)),
)
@settings(deadline=None)
def test_a_damaged_file_is_never_an_exception(
    whole: bytes, changes: list[tuple[int, int]], length: int, extension: str
) -> None:
    damaged = bytearray(whole)
    for at, value in changes:
        damaged[4 + at % (len(damaged) - 4)] = value
    for data in (bytes(damaged), bytes(damaged[:length]), bytes(damaged[:4] + damaged[length:])):
        assert contradiction(data, extension) in (None, *FOUND)


@given(st.binary(max_size=200), st.sampled_from(sorted(EXTENSIONS)))
@settings(deadline=None)
def test_any_bytes_have_an_answer(data: bytes, extension: str) -> None:
    found = contradiction(data, extension)
    assert found is None or found


def test_a_list_of_parts_without_end_is_not_read() -> None:
    data = DOCX
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    listing = data[start:end] * (5_000_000 // (end - start))
    size = len(listing).to_bytes(4, "little") + start.to_bytes(4, "little")
    file = Asked(data[:start] + listing + data[end : end + 12] + size + b"\0\0")
    assert filetypes.contradiction(file, ".docx") is None
    assert max(file.asked) <= MAX_DIRECTORY_BYTES


class Asked(io.BytesIO):
    """A file that remembers how much of it was asked for at a time."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.asked: list[int] = []

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.asked.append(len(data))
        return data
