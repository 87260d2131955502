"""Real files are read page by page and no word of their body is lost."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable

import docx
import openpyxl  # type: ignore[import-untyped]
import pptx
import pytest
from docx.enum.text import WD_BREAK
from pptx.util import Inches
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import ListFlowable, PageBreak, Paragraph, SimpleDocTemplate

from docproc.parsers.extraction import extract
from tests.unit.parsers.counted import count_pages

STYLES = getSampleStyleSheet()


def saved(document: object) -> bytes:
    file = io.BytesIO()
    document.save(file)  # type: ignore[attr-defined]
    return file.getvalue()


def flowing_pdf(*flowables: object) -> bytes:
    file = io.BytesIO()
    SimpleDocTemplate(file).build(list(flowables))
    return file.getvalue()


def drawn_pdf(*pages: list[str]) -> bytes:
    file = io.BytesIO()
    canvas = Canvas(file)
    for lines in pages:
        for number, line in enumerate(lines):
            canvas.drawString(72, 750 - 16 * number, line)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def pages(data: bytes, extension: str) -> list[str]:
    found = extract(data, extension)
    assert [page.number for page in found] == list(range(1, len(found) + 1))
    return [page.markdown for page in found]


def repacked(data: bytes, change: Callable[[str, bytes], tuple[str, bytes]]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(file, "w") as target:
        for name in source.namelist():
            target.writestr(*change(name, source.read(name)))
    return file.getvalue()


# ── PDF ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_pdf_keeps_its_pages_its_headings_and_its_lists() -> None:
    body = "Words of the body that go on for a while. " * 12
    long = "A heading that is so long that the page has to break it into two lines or even more"
    parts: list[object] = []
    for number in (1, 2):
        parts += [Paragraph(f"Chapter {number}", STYLES["Heading1"]), Paragraph(body, STYLES["BodyText"])]
        parts += [Paragraph(long, STYLES["Heading1"]), Paragraph(body, STYLES["BodyText"])]
        parts += [ListFlowable([Paragraph("first thing", STYLES["BodyText"])], bulletType="bullet"), PageBreak()]
    found = pages(flowing_pdf(*parts), ".pdf")
    assert len(found) == 2
    for number, page in enumerate(found, 1):
        assert page.startswith(f"# Chapter {number}\n\nWords of the body")
        assert f"\n\n# {long}\n\n" in page
        assert "\n- first thing" in page
        assert "\r" not in page


def test_every_word_of_a_pdf_is_on_its_own_page_even_when_pages_repeat_each_other() -> None:
    words = [[f"running title {'x' * 5}", f"unique{number} 12.5 % (a) b/c — d", "footer"] for number in range(12)]
    found = pages(drawn_pdf(*words), ".pdf")
    for number, page in enumerate(found):
        assert page.split() == " ".join(words[number]).split()


def test_an_empty_pdf_page_keeps_its_number() -> None:
    assert pages(drawn_pdf(["one"], [], ["three"]), ".pdf") == ["one", "", "three"]


def test_lines_that_only_look_like_markdown_stay_text() -> None:
    found = pages(drawn_pdf(["# no heading", "```", "Total", "-----", "plain"]), ".pdf")[0]
    assert found == "\\# no heading\n\\```\nTotal\n\\-----\nplain"


def test_a_word_cut_at_a_line_s_end_is_joined_as_it_is_spelt_elsewhere() -> None:
    lines = ["a line that talks of inter-", "national and of well-", "known ports; a well-known one"]
    found = pages(drawn_pdf(lines), ".pdf")[0]
    assert "international" in found
    assert "of well-known ports" in found


# ── DOCX ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_docx_page_breaks_part_the_pages() -> None:
    document = docx.Document()
    document.add_heading("First", 1)
    document.add_paragraph("one").add_run().add_break(WD_BREAK.PAGE)
    document.add_heading("Second", 1)
    document.add_paragraph("two")
    third = document.add_heading("Third", 2)
    third.paragraph_format.page_break_before = True
    document.add_paragraph("three")
    assert pages(saved(document), ".docx") == ["# First\n\none", "# Second\n\ntwo", "## Third\n\nthree"]


def test_docx_keeps_the_characters_that_xml_escapes() -> None:
    document = docx.Document()
    document.add_paragraph("AT&T, R&D, a < b > c, \"quoted\" 'single', &amp; literal")
    document.add_table(1, 2).cell(0, 0).text = "P&L | x"
    found = pages(saved(document), ".docx")[0]
    assert "AT&T, R&D, a \\< b > c, \"quoted\" 'single', \\&amp; literal" in found
    assert r"P&L \| x" in found


def test_a_docx_table_is_not_cut_by_a_page_break_inside_it() -> None:
    document = docx.Document()
    table = document.add_table(2, 2)
    for number, cell in enumerate(table._cells):
        cell.text = f"cell{number}"
    table.cell(0, 0).paragraphs[0].add_run().add_break(WD_BREAK.PAGE)
    found = pages(saved(document), ".docx")
    assert len(found) == 1
    assert re.findall(r"cell\d", found[0]) == ["cell0", "cell1", "cell2", "cell3"]


def test_a_docx_whose_main_part_has_another_name_is_read() -> None:
    document = docx.Document()
    document.add_paragraph("from another program")

    def change(name: str, part: bytes) -> tuple[str, bytes]:
        return name.replace("document.xml", "document2.xml"), part.replace(b"document.xml", b"document2.xml")

    assert pages(repacked(saved(document), change), ".docx") == ["from another program"]


# ── PPTX ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def slides(*titles: str) -> pptx.presentation.Presentation:
    presentation = pptx.Presentation()
    for title in titles:
        presentation.slides.add_slide(presentation.slide_layouts[5]).shapes.title.text = title
    return presentation


def test_each_slide_is_a_page_with_all_that_stands_on_it() -> None:
    presentation = slides("R&D", "", "Last")
    shapes = presentation.slides[0].shapes
    shapes.add_group_shape().shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.text = "in a group"
    shapes.add_table(1, 2, 0, 0, Inches(2), Inches(1)).table.cell(0, 1).text = "in a table"
    found = pages(saved(presentation), ".pptx")
    assert found[0].startswith("## R&D\n")
    assert "in a group" in found[0]
    assert "in a table" in found[0]
    assert found[1:] == ["", "## Last"]


def test_slides_stand_in_the_order_in_which_they_are_shown() -> None:
    presentation = slides(*(f"slide {number}" for number in range(11)))
    order = presentation.slides._sldIdLst
    order.append(order[0])
    data = saved(presentation)
    assert pages(data, ".pptx") == [f"## slide {number}" for number in (*range(1, 11), 0)]
    assert count_pages(data, ".pptx") == 11


# ── XLSX ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_sheet_is_a_page_with_its_name_and_its_table() -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    sheet.title = "Prices & more"
    for row in (["Name", "Price"], ["Rope | cord", 3.5], ["two\nlines", None]):
        sheet.append(row)
    workbook.create_sheet("Empty")
    workbook.create_sheet("Third_one")["B3"] = "## Empty"
    found = pages(saved(workbook), ".xlsx")
    assert found[0].splitlines() == [
        "## Prices & more",
        "",
        "| Name | Price |",
        "| --- | --- |",
        r"| Rope \| cord | 3.5 |",
        "| two lines |  |",
    ]
    assert found[1] == ""
    assert found[2].startswith("## Third_one\n")
    assert "Empty" in found[2]
    assert count_pages(saved(workbook), ".xlsx") == 3


def test_every_cell_of_a_large_sheet_is_there() -> None:
    workbook = openpyxl.Workbook(write_only=True)
    sheet = workbook.create_sheet("Big")
    for number in range(5000):
        sheet.append([number, f"row{number}"])
    found = pages(saved(workbook), ".xlsx")[0]
    assert re.findall(r"row\d+", found) == [f"row{number}" for number in range(5000)]


# ── HTML and text ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_html_has_its_body_and_no_front_block() -> None:
    page = """<html><head><title>My title</title><meta name="description" content="about"><link rel="canonical"
        href="http://x/"><style>p {color: red}</style><script>var hidden = 1</script></head><body><nav>menu</nav>
        <h1>Head &amp; tail</h1><p>Some <b>bold</b> words</p><ul><li>one<li>two</ul>
        <table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table><form><label>name</label></form>
        <img src="data:image/png;base64,AAAA" alt="a picture"><footer>imprint</footer>
        <!-- not shown --></body></html>"""
    found = pages(page.encode(), ".html")
    assert len(found) == 1
    assert found[0].startswith("menu\n\n# Head & tail\n\nSome **bold** words\n\n- one\n- two\n\n| A | B |")
    for word in ("name", "imprint", "a picture"):
        assert word in found[0]
    for word in ("My title", "about", "canonical", "color", "hidden", "not shown", "base64"):
        assert word not in found[0]


@pytest.mark.parametrize(
    "data",
    [
        "<p>Grüße</p>".encode(),
        "\ufeff<p>Grüße</p>".encode(),
        "<p>Grüße</p>".encode("utf-16"),
        "<p>Grüße</p>".encode("cp1252"),
        '<meta charset="iso-8859-2"><p>Grüße</p>'.encode("iso-8859-2"),
    ],
)
def test_html_is_read_in_its_encoding(data: bytes) -> None:
    assert pages(data, ".htm") == ["Grüße"]


@pytest.mark.parametrize("extension", [".html", ".txt"])
def test_stray_nul_characters_are_left_out(extension: str) -> None:
    assert pages(b"some\0 words that a faulty program\0 wrote", extension) == ["some words that a faulty program wrote"]


@pytest.mark.parametrize("extension", [".md", ".MARKDOWN", ".txt"])
def test_text_is_one_page_as_it_stands(extension: str) -> None:
    text = "# Title\n\n\n\n    code\n<b>\n---\n"
    assert pages(text.replace("\n", "\r\n").encode(), extension) == [text.strip("\n")]
