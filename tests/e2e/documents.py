"""Small documents for the end-to-end tests, each with words of its own, so that no mock has seen it before."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from uuid import uuid4

from reportlab.pdfgen.canvas import Canvas

PAGES = 3
"""Pages of ``one_of_each`` that go through the paid parser: two of the PDF, one of the DOCX."""

_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/word/document.xml" ContentType="{_OFFICE}"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" Target="word/document.xml"'
    ' Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>',
}
_BODY = (
    '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
    "<w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>"
)


def pdf(*pages: str) -> bytes:
    """A PDF with one line of text on each page."""
    made = io.BytesIO()
    canvas = Canvas(made, invariant=True)
    for text in pages:
        canvas.drawString(72, 720, text)
        canvas.showPage()
    canvas.save()
    return made.getvalue()


def docx(text: str) -> bytes:
    """A DOCX with one paragraph."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in {**_PARTS, "word/document.xml": _BODY.format(text=text)}.items():
            archive.writestr(name, content)
    return made.getvalue()


def one_of_each(folder: Path) -> Path:
    """Fills ``folder`` with a PDF of two pages, a DOCX of one, a Markdown and a text file; returns it."""
    word = uuid4().hex
    folder.mkdir()
    (folder / "ladder.pdf").write_bytes(pdf(f"Ladders are counted at dusk, {word}.", f"The longest one bends, {word}."))
    (folder / "lantern.docx").write_bytes(docx(f"A lantern hangs over every door, {word}."))
    # Long enough for several chunks, so that some request holds more than one.
    shelves = "".join(f"Shelf {n} of {word} holds rope, {n} fathoms of it.\n\n" for n in range(40))
    (folder / "loft.md").write_text(f"# Loft\n\n{shelves}", encoding="utf-8")
    (folder / "log.txt").write_text(f"Calm sea and a slow gull, {word}.\n", encoding="utf-8")
    return folder


def texts(folder: Path, count: int) -> Path:
    """Fills ``folder`` with ``count`` text files of a sentence each; returns it."""
    folder.mkdir(exist_ok=True)
    for n in range(count):
        (folder / f"note-{n:03}.txt").write_text(f"Note {n} says {uuid4().hex} and no more.\n", encoding="utf-8")
    return folder
