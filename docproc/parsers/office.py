"""Reads DOCX, PPTX and XLSX through kreuzberg and makes up for what it loses or misplaces."""

from __future__ import annotations

import html
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO
from xml.etree import ElementTree

from docproc.parsers.archive import open_archive
from docproc.parsers.reading import MARK, rejected, run_kreuzberg, unreadable

MAX_UNPACKED_BYTES = 512 * 1024 * 1024
"""An Office file that unpacks to more than this is refused; LlamaParse takes files of 512 MB at most."""

MAX_PARTS = 20_000
"""An Office file of more parts than this is refused; a workbook of a thousand sheets has about three thousand."""

MAX_COUNTED_BYTES = 4 * 1024 * 1024
"""The lists of slides and sheets together; more are not counted. As a tree they take 20 times that at worst."""

_MAIN_PART = {".docx": "word/document.xml", ".pptx": "ppt/presentation.xml", ".xlsx": "xl/workbook.xml"}


Parts = dict[str, bytes]
_OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BLOCK = 1024 * 1024
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")


def _read_parts(data: bytes, kind: str) -> Parts:
    """The XML parts of an Office file; pictures and other media are left out."""
    file = io.BytesIO(data)
    with _opened(file, kind) as archive:
        _refuse_bomb(archive.infolist())
        parts = {part.filename: archive.read(part) for part in archive.infolist() if _is_markup(part.filename)}
    return _with_main_part(parts, kind)


def _lists(file: BinaryIO, kind: str) -> Parts:
    """The parts that list the slides or sheets, and the names alone of the others. Raises as ``_read_parts``."""
    main = _MAIN_PART[kind]
    folder = main.partition("/")[0]
    wanted = re.compile(rf"{folder}/(_rels/)?{main.removeprefix(folder + '/').removesuffix('.xml')}\d*\.xml(\.rels)?")
    with _opened(file, kind) as archive:
        _refuse_bomb(archive.infolist())
        listing = [part for part in archive.infolist() if wanted.fullmatch(part.filename)]
        if sum(part.file_size for part in listing) > MAX_COUNTED_BYTES:
            unreadable("its list of pages is too long")
        read = {part.filename: archive.read(part) for part in listing}
        names = {part.filename: b"" for part in archive.infolist() if _is_markup(part.filename)}
    return _with_main_part(names | read, kind)


def unpacked(file: BinaryIO) -> int:
    """The bytes that the XML parts of an Office file unpack to, 0 where it is none; leaves it at its beginning."""
    try:
        with open_archive(file) as archive:
            return sum(part.file_size for part in archive.infolist() if _is_markup(part.filename))
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return 0
    finally:
        file.seek(0)


@contextmanager
def _opened(file: BinaryIO, kind: str) -> Iterator[zipfile.ZipFile]:
    _refuse_old(file, kind)
    try:
        with open_archive(file) as archive:
            yield archive
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError, ValueError, zlib.error):
        unreadable(f"it is damaged, or not {kind[1:].upper()}")


def _refuse_old(file: BinaryIO, kind: str) -> None:
    file.seek(0)
    block = file.read(_BLOCK)
    if not block.startswith(_OLE_MAGIC):
        return
    while block:
        if _ENCRYPTED_STREAM in block:
            rejected()
        following = file.read(_BLOCK)
        block = block[-len(_ENCRYPTED_STREAM) :] + following if following else b""
    unreadable(f"it is in the old binary Office format, not {kind[1:].upper()}")


def _is_markup(name: str) -> bool:
    return name.endswith((".xml", ".rels"))


def _refuse_bomb(entries: list[zipfile.ZipInfo]) -> None:
    """Raises before anything is unpacked; what ``zipfile`` then reads is cut at these declared sizes."""
    if any(entry.flag_bits & 1 for entry in entries):
        rejected()
    if len(entries) > MAX_PARTS:
        unreadable(f"it has {len(entries):,} parts, more than the {MAX_PARTS:,} that are accepted")
    size = sum(entry.file_size for entry in entries)
    if size > MAX_UNPACKED_BYTES:
        unreadable(f"it unpacks to {size:,} bytes, more than the {MAX_UNPACKED_BYTES:,} that are accepted")


def _with_main_part(parts: Parts, kind: str) -> Parts:
    """``parts`` with the main part under its usual name; some programs write ``word/document2.xml``."""
    main = _MAIN_PART[kind]
    if main not in parts:
        stem = main.removesuffix(".xml").replace("/", "/(_rels/)?")
        usual = {
            name: re.sub(rf"^{stem}\d+\.xml", lambda m: main.replace("/", f"/{m[1] or ''}"), name) for name in parts
        }
        parts = {usual[name]: part for name, part in parts.items()}
    if main not in parts:
        unreadable(f"it is not {kind[1:].upper()}: the part {main} is missing")
    return parts


def _pack(parts: Parts) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return packed.getvalue()


def _xml(parts: Parts, name: str) -> ElementTree.Element:
    try:
        # Expat itself bounds the expansion of entities.
        return ElementTree.fromstring(parts[name])  # noqa: S314
    except (KeyError, ElementTree.ParseError):
        unreadable(f"its part {name} is missing or damaged")


def _relations(parts: Parts, name: str) -> dict[str, ElementTree.Element]:
    return {relation.get("Id", ""): relation for relation in _xml(parts, name)}


def _relation_id(element: ElementTree.Element) -> str:
    return next((value for key, value in element.attrib.items() if key.endswith("relationships}id")), "")


# DOCX: kreuzberg 4.10 drops the characters that XML writes as entities, and gives whole-document Markdown no pages.

_ENTITY = re.compile(rb"&(?:#\d+|#x[0-9a-fA-F]+|amp|lt|gt|quot|apos);")
_STAND_INS = {ord(character): chr(0x10F0F0 + at) for at, character in enumerate("&<>\"'")}
_STAND_IN_TO_MARKDOWN = {
    ord(stand_in): {"<": r"\<"}.get(chr(character), chr(character)) for character, stand_in in _STAND_INS.items()
}
_BREAK_RUN = re.compile(rb'<w:br\b[^>]*\bw:type="page"[^>]*/>')
_BREAK_BEFORE = re.compile(rb"<w:p(?: [^>]*)?><w:pPr>(?:(?!</w:pPr>).)*?<w:pageBreakBefore ?/>", re.DOTALL)
_PAGE_START = re.compile(rf"^(#{{1,6}} )?((?:\*\*|\*|_)?){MARK}\2", re.MULTILINE)


def read_docx(data: bytes) -> list[str]:
    """The text between page breaks; a table is never cut.

    Raises PermanentError (``parse.unreadable``, ``parse.rejected``).
    """
    parts = _read_parts(data, ".docx")
    for name in [name for name in parts if re.fullmatch(r"word/[^/]+\.xml", name)]:
        parts[name] = _ENTITY.sub(_stand_in, parts[name])
    mark = f"<w:t>{MARK}</w:t>".encode()
    main = _BREAK_RUN.sub(mark, parts["word/document.xml"])
    parts["word/document.xml"] = _BREAK_BEFORE.sub(lambda m: b"<w:p><w:r>" + mark + b"</w:r></w:p>" + m[0], main)
    content = run_kreuzberg(_pack(parts), ".docx").content.translate(_STAND_IN_TO_MARKDOWN)
    # A break in a table's cell is no place to cut, and one in a heading belongs before it.
    content = "\n".join(line.replace(MARK, " ") if line.startswith("|") else line for line in content.split("\n"))
    return [_tidy(page) for page in _PAGE_START.sub(rf"{MARK}\1", content).split(MARK)]


def _stand_in(match: re.Match[bytes]) -> bytes:
    return html.unescape(match[0].decode()).translate(_STAND_INS).encode()


def _tidy(text: str) -> str:
    r"""``text`` without the empty headings that a page break leaves; ``\&`` only where ``&`` would be an entity."""
    text = re.sub(r"^#{1,6}[ ]*$", "", text, flags=re.MULTILINE)
    return re.sub(r"\\?&(#?\w+;)?", lambda match: f"\\&{match[1]}" if match[1] else "&", text)


# PPTX: kreuzberg orders slides by the names of their parts; a slide that was moved keeps its part's name.


_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_SLIDE_TYPE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/slide"


def _slide_names(parts: Parts) -> list[str]:
    """The parts of the slides in the order in which they are shown."""
    relations = _relations(parts, "ppt/_rels/presentation.xml.rels")
    ids = [_relation_id(e) for e in _xml(parts, "ppt/presentation.xml").iter() if e.tag.endswith("}sldId")]
    targets = [relations[id_].get("Target", "") for id_ in ids if id_ in relations]
    return [name for name in (t.lstrip("/") if t.startswith("/") else f"ppt/{t}" for t in targets) if name in parts]


def read_pptx(data: bytes) -> list[str]:
    """The text of each slide in the order in which they are shown; an empty slide is an empty page.

    Raises PermanentError (``parse.unreadable``, ``parse.rejected``).
    """
    parts = _read_parts(data, ".pptx")
    names = _slide_names(parts)
    renamed = {name: part for name, part in parts.items() if not name.startswith("ppt/slides/")}
    listed = []
    for number, name in enumerate(names, 1):
        folder, _, file = name.rpartition("/")
        renamed[f"ppt/slides/slide{number}.xml"] = parts[name]
        if (links := parts.get(f"{folder}/_rels/{file}.rels")) is not None:
            renamed[f"ppt/slides/_rels/slide{number}.xml.rels"] = links
        listed.append(f'<Relationship Id="s{number}" Type="{_SLIDE_TYPE}" Target="slides/slide{number}.xml"/>')
    relations = f'<Relationships xmlns="{_PACKAGE}/relationships">{"".join(listed)}</Relationships>'
    renamed["ppt/_rels/presentation.xml.rels"] = relations.encode()
    content = run_kreuzberg(_pack(renamed), ".pptx").content
    return [_tidy(page) for page in re.split(rf"{MARK}\d+", content)[1:]]


def count_slides(file: BinaryIO) -> int:
    """The number of slides. Raises PermanentError as ``read_pptx`` does."""
    return len(_slide_names(_lists(file, ".pptx")))


# XLSX: kreuzberg heads the table of each sheet that has cells with the sheet's name.


def _sheet_names(parts: Parts) -> list[str]:
    relations = _relations(parts, "xl/_rels/workbook.xml.rels")
    worksheets = {id_ for id_, relation in relations.items() if relation.get("Type", "").endswith("/worksheet")}
    sheets = [e for e in _xml(parts, "xl/workbook.xml").iter() if e.tag.endswith("}sheet")]
    return [sheet.get("name", "") for sheet in sheets if _relation_id(sheet) in worksheets]


def read_xlsx(data: bytes) -> list[str]:
    """Each worksheet as a heading and a Markdown table; an empty sheet is an empty page.

    Raises PermanentError (``parse.unreadable``, ``parse.rejected``).
    """
    parts = _read_parts(data, ".xlsx")
    tables = re.split(r"^(?=## )", run_kreuzberg(_pack(parts), ".xlsx").content, flags=re.MULTILINE)
    tables = [table for table in tables if table.strip()]
    pages = []
    for name in _sheet_names(parts):
        heading = tables[0].partition("\n")[0].removeprefix("## ") if tables else ""
        own = bool(tables) and " ".join(_unescape(heading).split()) == " ".join(name.split())
        pages.append(_tidy(tables.pop(0)) if own else "")
    # Whatever was not recognised must not be lost.
    return [*pages, *(_tidy(table) for table in tables)]


def count_sheets(file: BinaryIO) -> int:
    """The number of sheets that hold cells, empty ones included. Raises PermanentError as ``read_xlsx`` does."""
    return len(_sheet_names(_lists(file, ".xlsx")))


def _unescape(markdown: str) -> str:
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown)
