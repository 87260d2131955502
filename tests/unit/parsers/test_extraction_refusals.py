"""What cannot be read says why, in words that quote nothing of the file, and is refused before it does harm."""

from __future__ import annotations

import io
import zipfile

import docx
import openpyxl  # type: ignore[import-untyped]
import pptx
import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from docproc.errors import PermanentError
from docproc.parsers import office
from docproc.parsers.extraction import extract
from tests.unit.parsers.counted import count_pages


def saved(document: object) -> bytes:
    file = io.BytesIO()
    document.save(file)  # type: ignore[attr-defined]
    return file.getvalue()


def drawn_pdf(*pages: str, encryption: StandardEncryption | None = None) -> bytes:
    file = io.BytesIO()
    canvas = Canvas(file, encrypt=encryption)
    for words in pages:
        canvas.drawString(72, 750, words)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


GOOD = {
    ".pdf": drawn_pdf("secret words"),
    ".docx": saved(docx.Document()),
    ".pptx": saved(pptx.Presentation()),
    ".xlsx": saved(openpyxl.Workbook()),
}
CASES = [
    (extension, name, data)
    for extension, good in GOOD.items()
    for name, data in {
        "nothing": b"",
        "text": b"secret words",
        "cut off": good[: len(good) // 2],
        "another type": GOOD[".docx" if extension == ".xlsx" else ".xlsx"],
        "the old format": bytes.fromhex("d0cf11e0a1b11ae1") + bytes(2000),
    }.items()
]


@pytest.mark.parametrize(("extension", "name", "data"), CASES, ids=[f"{case[0]} {case[1]}" for case in CASES])
def test_a_file_that_is_not_what_it_should_be_is_unreadable(extension: str, name: str, data: bytes) -> None:
    with pytest.raises(PermanentError) as error:
        extract(data, extension)
    assert error.value.code == "parse.unreadable"
    assert error.value.why
    assert error.value.remedy
    assert "secret" not in str(error.value)
    assert count_pages(data, extension) is None


@pytest.mark.parametrize("data", [GOOD[".pdf"], GOOD[".docx"], bytes(100) + b"words"])
@pytest.mark.parametrize("extension", [".html", ".txt"])
def test_bytes_that_are_no_text_are_unreadable_as_text(data: bytes, extension: str) -> None:
    with pytest.raises(PermanentError, match="not text"):
        extract(data, extension)


def test_an_extension_that_nobody_reads_is_unreadable() -> None:
    for extension in (".exe", ""):
        with pytest.raises(PermanentError, match="cannot be read here"):
            extract(b"words", extension)


def test_a_pdf_that_needs_a_password_is_rejected_and_one_that_needs_none_is_read() -> None:
    locked = drawn_pdf("secret words", encryption=StandardEncryption("user", "owner"))
    with pytest.raises(PermanentError) as error:
        extract(locked, ".pdf")
    assert error.value.code == "parse.rejected"
    (page,) = extract(drawn_pdf("open", encryption=StandardEncryption("", "owner")), ".pdf")
    assert page.markdown == "open"


@pytest.mark.parametrize("extension", [".docx", ".pptx", ".xlsx"])
def test_an_encrypted_office_file_is_rejected(extension: str) -> None:
    encrypted = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(500) + "EncryptedPackage".encode("utf-16-le") + bytes(500)
    with pytest.raises(PermanentError) as error:
        extract(encrypted, extension)
    assert error.value.code == "parse.rejected"


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office, "MAX_UNPACKED_BYTES", 1_000_000)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", bytes(2_000_000))
    with pytest.raises(PermanentError, match=r"unpacks to 2,000,000 bytes, more than the 1,000,000"):
        extract(bomb.getvalue(), ".docx")


def test_an_archive_of_too_many_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office, "MAX_PARTS", 5)
    with pytest.raises(PermanentError, match="parts, more than the 5"):
        extract(GOOD[".docx"], ".docx")


def test_an_archive_that_lies_about_its_sizes_unpacks_to_no_more_than_it_says() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", bytes(2_000_000))
    lying = packed.getvalue().replace((2_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    with pytest.raises(PermanentError, match="damaged"):
        extract(lying, ".docx")


def test_pages_are_counted_without_reading_them_where_that_is_possible() -> None:
    assert count_pages(drawn_pdf("a", "b"), ".PDF") == 2
    assert count_pages(GOOD[".docx"], ".docx") is None
    assert count_pages(b"<p>x", ".html") == 1
    assert count_pages(b"x", ".md") == 1
    assert count_pages(b"x", ".exe") is None


def test_reading_twice_gives_the_same_pages() -> None:
    for extension, data in GOOD.items():
        assert extract(data, extension) == extract(data, extension)
