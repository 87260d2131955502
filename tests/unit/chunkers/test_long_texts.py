"""Time grows with the length of a text and not faster, whatever the text is made of."""

from itertools import pairwise
from time import process_time

import pytest

from docproc.chunkers import get
from docproc.model import ParsedDocument

_SENTENCE = "The quick brown fox jumps over the lazy dog. "
_TEXTS = {
    "one letter": "a" * 10,
    "one ideograph": "字" * 5,
    "a mark on a mark": "\u0301" * 5,
    "one paragraph": _SENTENCE,
    "lines": _SENTENCE + "\n",
    "bare headings": "# h\n\n",
    "sections": "# h\n\ntext\n\n## i\n\nmore\n\n",
    "lead-ins": "so:\n\n",
    "entries": "- " + _SENTENCE + "\n",
    "rows": "| a | b |\n",
    "code": "x = 1\n",
    "tags": "<tr><td>x</td></tr>",
    "quotes": "> ",
    "brackets": "[",
    "blanks": " ",
    "line ends": "\n",
}


@pytest.mark.parametrize("name", _TEXTS)
def test_ten_times_the_text_takes_about_ten_times_as_long(name: str) -> None:
    def seconds(size: int) -> float:
        opening = {"rows": "| a | b |\n|---|---|\n", "code": "```\n"}.get(name, "a")
        text = opening + _TEXTS[name] * (size // len(_TEXTS[name])) + "b"
        begun = process_time()
        for _ in get("markdown-simple@1").chunk(ParsedDocument(text, ())):
            pass
        return process_time() - begun

    seconds(2_000)
    # The better of two: the machine, or a collection of garbage, may fall into one.
    assert min(seconds(200_000) for _ in range(2)) < 35 * min(seconds(20_000) for _ in range(2)) + 0.1


@pytest.mark.parametrize("spec", ["markdown-simple@1", "tokens@1"])
def test_a_million_times_one_letter_ends(spec: str) -> None:
    chunks = list(get(spec).chunk(ParsedDocument("a" * 1_000_000, ())))
    assert "".join(chunk.text for chunk in chunks) == "a" * 1_000_000


def test_overlapping_windows_on_a_hundred_thousand_times_one_letter_advance() -> None:
    chunks = list(get("tokens@1+overlap=200").chunk(ParsedDocument("a" * 100_000, ())))
    assert all(one.start < other.start and one.end < other.end for one, other in pairwise(chunks))
    assert len(chunks) < 100


@pytest.mark.parametrize("spec", ["markdown-simple@1", "tokens@1"])
def test_a_megabyte_in_one_paragraph_ends(spec: str) -> None:
    chunks = list(get(spec).chunk(ParsedDocument(_SENTENCE * 23_000, ())))
    assert sum(chunk.text.count("fox") for chunk in chunks) == 23_000
