"""Holds the fixtures, what their README says of them, and ``expected.json`` together."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import kreuzberg
import pytest

from docproc.errors import REMEDIES

FIXTURES = Path(__file__).parents[2] / "fixtures"
EXPECTED: dict[str, dict[str, Any]] = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))
README = (FIXTURES / "README.md").read_text(encoding="utf-8")
FOLDERS = ("documents", "broken")
COMPLETE = [("documents", name) for name in EXPECTED["documents"]] + [
    ("broken", name) for name, end in EXPECTED["broken"].items() if end["outcome"] == "complete"
]
SPACELESS = ("ja", "zh")

_OFFICE = "application/vnd.openxmlformats-officedocument."
MIME = {
    ".pdf": "application/pdf",
    ".docx": f"{_OFFICE}wordprocessingml.document",
    ".pptx": f"{_OFFICE}presentationml.presentation",
    ".xlsx": f"{_OFFICE}spreadsheetml.sheet",
    ".html": "text/html",
}
CONFIG = kreuzberg.ExtractionConfig(
    pages=kreuzberg.PageConfig(
        extract_pages=True, insert_page_markers=True, marker_format="\n\nSLIDE{page_num}BEGINS\n\n"
    ),
    output_format="markdown",
)


def on_disk(folder: str) -> set[str]:
    return {path.name for path in (FIXTURES / folder).iterdir()}


def section(folder: str) -> str:
    return README.split(f"## {folder}/")[1].split("\n## ")[0]


def squeezed(text: str) -> str:
    return " ".join(text.split())


def decoded(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return re.sub(r"[\x00-\x08\x0b-\x1f]", "", text)


@cache
def pages(folder: str, name: str) -> tuple[str, ...]:
    """The text of each page, white space squeezed; one page for the types that have none."""
    path = FIXTURES / folder / name
    mime = MIME.get(path.suffix)
    if mime is None:
        return (squeezed(decoded(path.read_bytes())),)
    result = kreuzberg.extract_bytes_sync(path.read_bytes(), mime, CONFIG)
    match path.suffix:
        case ".pptx":
            found = re.split(r"SLIDE\d+BEGINS", result.content)[1:]
        case ".xlsx":
            found = re.split(r"(?m)^## ", result.content)[1:]
        case ".html":
            found = [result.content]
        case _:
            found = [page["content"] for page in result.pages or ()]
    return tuple(squeezed(page) for page in found)


def expected(folder: str, name: str) -> Any:
    return EXPECTED[folder][name]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_is_in_expected_json_and_the_other_way_round(folder: str) -> None:
    assert on_disk(folder) == set(EXPECTED[folder])


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_has_a_row_in_the_readme_and_the_other_way_round(folder: str) -> None:
    assert sorted(re.findall(r"(?m)^\| `([^`]+)` \|", section(folder))) == sorted(on_disk(folder))


def test_the_readme_says_the_same_page_counts_as_expected_json() -> None:
    rows = re.findall(r"(?m)^\| `([^`]+)` \|[^|]*\| (?:(\d+) (?:pages|slides|sheets)|none) \|", section("documents"))
    assert {name: int(count) if count else None for name, count in rows} == {
        name: entry["pages"] for name, entry in EXPECTED["documents"].items()
    }


def test_the_readme_says_the_same_ends_of_broken_files_as_expected_json() -> None:
    rows = re.findall(r"(?m)^\| `([^`]+)` \|[^|]*\| (\w+) \| (?:`([^`]+)` )?\|", section("broken"))
    assert {name: (outcome, code or None) for name, outcome, code in rows} == {
        name: (end["outcome"], end["code"]) for name, end in EXPECTED["broken"].items()
    }


def test_the_fixtures_are_small() -> None:
    sizes = {folder: [path.stat().st_size for path in (FIXTURES / folder).iterdir()] for folder in FOLDERS}
    assert max(max(found) for found in sizes.values()) < 100_000
    assert sum(sizes["documents"]) < 1_500_000
    assert sum(sizes["broken"]) < 100_000


def test_there_are_documents_of_every_type_and_a_large_one() -> None:
    assert {Path(name).suffix for name in EXPECTED["documents"]} == {*MIME, ".md", ".txt"}
    assert max(entry["pages"] or 0 for entry in EXPECTED["documents"].values()) >= 30
    assert len([entry for entry in EXPECTED["documents"].values() if entry["searches"]]) >= 10


@pytest.mark.parametrize("name", EXPECTED["documents"])
def test_a_document_has_the_pages_and_headings_that_are_expected(name: str) -> None:
    entry = expected("documents", name)
    found = pages("documents", name)
    assert len(found) == (entry["pages"] or 1)
    assert [heading for heading in entry["headings"] if heading not in " ".join(found)] == []


@pytest.mark.parametrize(("folder", "name"), COMPLETE)
def test_no_page_is_empty_or_repeats_another(folder: str, name: str) -> None:
    found = pages(folder, name)
    assert all(found)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(("folder", "name"), COMPLETE)
def test_a_search_phrase_stands_on_its_page_and_nowhere_else(folder: str, name: str) -> None:
    for search in expected(folder, name)["searches"]:
        places = [
            (other, number)
            for other in COMPLETE
            for number, text in enumerate(pages(*other), start=1)
            if search["phrase"].casefold() in text.casefold()
        ]
        assert places == [((folder, name), search["page"])], search["phrase"]


@pytest.mark.parametrize("name", EXPECTED["documents"])
def test_a_search_phrase_is_from_the_body_and_of_fair_length(name: str) -> None:
    entry = expected("documents", name)
    titles = [name, *entry["headings"]]
    for search in entry["searches"]:
        phrase = search["phrase"]
        assert phrase == squeezed(phrase)
        assert not [title for title in titles if phrase.casefold() in title.casefold()]
        # Japanese and Chinese write no spaces, so their length is counted in characters.
        assert len(phrase) >= 10 if entry["language"] in SPACELESS else 6 <= len(phrase.split()) <= 10


def test_every_code_of_a_broken_file_is_one_that_docproc_knows() -> None:
    for end in EXPECTED["broken"].values():
        assert end["outcome"] in {"refused", "failed_parse", "complete"}
        assert (end["code"] is None) == (end["outcome"] == "complete")
        assert end["code"] is None or end["code"] in REMEDIES


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("corrupt.pdf", "Invalid PDF"),
        ("truncated.docx", "ZIP"),
        ("wrong-extension.docx", "ZIP"),
        ("password.pdf", "password"),
    ],
)
def test_a_damaged_file_cannot_be_read(name: str, said: str) -> None:
    with pytest.raises(kreuzberg.ParsingError, match=said):
        pages("broken", name)


def test_the_odd_files_are_odd_in_the_way_that_the_readme_says() -> None:
    broken = {path.name: path.read_bytes() for path in (FIXTURES / "broken").iterdir()}
    assert broken["empty.pdf"] == b""
    assert broken["whitespace.txt"].decode().strip() == ""
    assert broken["wrong-extension.docx"].startswith(b"%PDF-")
    assert broken["nul-bytes.txt"].count(b"\x00") > 2
    assert pages("broken", "blank-pages.pdf") == ("", "", "")
    with pytest.raises(UnicodeDecodeError):
        broken["latin1.txt"].decode()
