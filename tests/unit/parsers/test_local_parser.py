"""The local parser: text by blocks, and a limit for what must be read as a whole."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

import pytest

from docproc.errors import PermanentError
from docproc.parsers import extraction, local, office, reading
from docproc.parsers.html import to_markdown, weight
from tests.support import FIXTURES

DOCUMENTS = FIXTURES / "documents"


def text(data: bytes, extension: str, max_bytes: int = 10_000) -> str:
    return "".join(local.text(io.BytesIO(data), extension, max_bytes=max_bytes))


@pytest.mark.parametrize("extension", [".txt", ".md"])
def test_plain_text_has_no_limit(extension: str) -> None:
    assert text(b"high tide\n" * 2000, extension) == "high tide\n" * 2000


def test_html_becomes_markdown() -> None:
    assert text(b"<h1>Tide</h1><p>High</p>", ".html") == "# Tide\n\nHigh"


@pytest.mark.parametrize("html", [b"<p>" + b"x" * 10_000, b"<i>a</i>" * 300])
def test_html_that_is_too_large_or_has_too_many_tags_is_refused(html: bytes) -> None:
    with pytest.raises(PermanentError) as caught:
        text(html, ".html")
    assert caught.value.code == "parse.too_large"
    assert "max_local_bytes" in caught.value.remedy
    assert f"{weight(html[:10_001]):,}" in caught.value.why


def test_html_whose_tags_are_too_deep_is_unreadable() -> None:
    with pytest.raises(PermanentError) as caught:
        to_markdown("<div>" * 50_000 + "x")
    assert (caught.value.code, caught.value.why) == ("parse.unreadable", "its tags are too deep")


@pytest.mark.parametrize(
    "path", sorted(DOCUMENTS.glob("*.pdf")) + sorted(DOCUMENTS.glob("*.docx")), ids=lambda p: p.name
)
def test_a_file_of_pages_is_refused_by_its_size_unpacked(path: Path) -> None:
    with path.open("rb") as file:
        size = extraction.unpacked_size(file, path.suffix)
        with pytest.raises(PermanentError) as caught:
            local.pages(file, path.suffix, max_bytes=size - 1)
        assert caught.value.code == "parse.too_large"
        assert local.pages(file, path.suffix, max_bytes=size).pages == extraction.extract(
            path.read_bytes(), path.suffix
        )


# ── counting ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_pdf_that_would_fill_the_memory_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    path = next(DOCUMENTS.glob("*.pdf"))
    with path.open("rb") as file:
        assert extraction.count_pages(file, ".pdf")
        monkeypatch.setattr(reading, "MAX_COUNTED_BYTES", path.stat().st_size - 1)
        assert extraction.count_pages(file, ".pdf") is None


def test_a_workbook_whose_list_of_sheets_would_fill_the_memory_is_not_counted() -> None:
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("xl/workbook.xml", b"<x>" + b" " * office.MAX_COUNTED_BYTES + b"</x>")
            archive.writestr("xl/_rels/workbook.xml.rels", b"<x/>")
        assert extraction.count_pages(file, ".xlsx") is None


def test_only_the_lists_are_unpacked_to_count_slides_and_sheets(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    read_part = zipfile.ZipFile.read

    def watch(archive: zipfile.ZipFile, name: zipfile.ZipInfo | str, pwd: bytes | None = None) -> bytes:
        read.append(name.filename if isinstance(name, zipfile.ZipInfo) else name)
        return read_part(archive, name, pwd)

    monkeypatch.setattr(zipfile.ZipFile, "read", watch)
    for kind, parts in {".pptx": "ppt/presentation.xml", ".xlsx": "xl/workbook.xml"}.items():
        path = next(DOCUMENTS.glob(f"*{kind}"))
        with path.open("rb") as file:
            counted = extraction.count_pages(file, kind)
        folder, name = parts.split("/")
        assert sorted(read) == sorted([parts, f"{folder}/_rels/{name}.rels"])
        assert counted == len(extraction.extract(path.read_bytes(), kind))
        read.clear()
