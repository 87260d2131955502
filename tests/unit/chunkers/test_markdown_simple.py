"""How ``markdown-simple@1`` cuts, by example: each test is a small document and the chunks that come out."""

from textwrap import dedent

from docproc.chunkers import get
from docproc.model import Chunk, ParsedDocument


def _cut(text: str, most: int = 400) -> list[Chunk]:
    spec = "markdown-simple@1" if most == 400 else f"markdown-simple@1+max={most}"
    return list(get(spec).chunk(ParsedDocument(dedent(text).lstrip("\n"), ())))


def _texts(text: str, most: int = 400) -> list[str]:
    return [chunk.text for chunk in _cut(text, most)]


def _sentences(count: int, word: str = "word") -> str:
    return " ".join(f"Sentence {number} has one more {word}." for number in range(count))


def test_a_small_document_is_one_chunk_under_its_title() -> None:
    (chunk,) = _cut("""
        # Guide

        Welcome.

        ## Install

        Run `pip install`.
        """)
    assert chunk.heading_path == ("Guide",)
    assert chunk.text == "# Guide\n\nWelcome.\n\n## Install\n\nRun `pip install`."
    assert chunk.embed_text == "Guide\n\n" + chunk.text
    assert (chunk.start, chunk.end) == (0, len(chunk.text))


def test_a_large_section_is_a_chunk_and_its_path_goes_before_what_is_embedded() -> None:
    one, other = _sentences(25), _sentences(25, "thing")
    first, second = _cut(f"# Guide\n\n## Install\n\n{one}\n\n## Use `it` *now*\n\n{other}\n")
    assert first.heading_path == ("Guide", "Install")
    assert first.text == f"# Guide\n\n## Install\n\n{one}"
    assert second.heading_path == ("Guide", "Use it now")
    assert second.text == f"## Use `it` *now*\n\n{other}"
    assert second.embed_text == f"Guide > Use it now\n\n{second.text}"


def test_small_sections_join_under_the_heading_that_they_share_and_never_across_it() -> None:
    large = _sentences(49)
    chunks = _cut(f"# A\n\n{large}\n\n## B\n\nSmall b.\n\n## C\n\nSmall c.\n\n# D\n\n{large}\n\n## E\n\nSmall e.\n")
    assert [chunk.heading_path for chunk in chunks] == [("A",), ("A",), ("D",), ("D", "E")]
    assert chunks[1].text.endswith("## B\n\nSmall b.\n\n## C\n\nSmall c.")
    assert chunks[2].text.startswith("# D\n\n")


def test_headings_in_two_lines_and_numbers_of_hash_marks_make_the_same_path() -> None:
    chunks = _cut(f"Guide\n=====\n\nUse\n---\n\n{_sentences(40)}\n")
    assert {chunk.heading_path for chunk in chunks} == {("Guide", "Use")}


def test_a_heading_without_text_goes_with_the_text_below_it() -> None:
    chunks = _cut(f"# One\n\n# Two\n\n## Three\n\n{_sentences(60)}\n\n## Four\n")
    assert chunks[0].text.startswith("# One\n\n# Two\n\n## Three\n\nSentence 0")
    assert chunks[0].heading_path == ("Two", "Three")
    assert chunks[-1].text.endswith("\n\n## Four")
    assert "Sentence" in chunks[-1].text


def test_what_is_a_little_too_long_is_cut_in_the_middle() -> None:
    paragraphs = "\n\n".join([_sentences(3)] * 12)
    sizes = [chunk.tokens for chunk in _cut(paragraphs, 260)]
    assert len(sizes) == 2
    assert min(sizes) >= 100


def test_a_table_is_cut_between_rows_and_its_header_is_repeated() -> None:
    rows = "".join(f"| key{number} | value {number} |\n" for number in range(12))
    table = f"| Key | Value |\n|---|---|\n{rows}"
    text = f"# T\n\nThe keys are:\n\n{table}\nAfter the table.\n"
    chunks = list(get("markdown-simple@1+max=60").chunk(ParsedDocument(text, ())))
    assert chunks[0].text.startswith("# T\n\nThe keys are:\n\n| Key | Value |\n|---|---|\n| key0 | value 0 |\n")
    later = [chunk for chunk in chunks[1:] if "key" in chunk.text]
    assert len(later) > 1
    for chunk in later:
        assert chunk.text == "| Key | Value |\n|---|---|\n" + text[chunk.start : chunk.end]
        assert text[chunk.start : chunk.end].startswith("| key")
        assert chunk.text.endswith(" |")
    assert chunks[-1].text == "After the table."


def test_a_row_that_is_too_long_is_cut_between_words() -> None:
    chunks = _texts("| A | B |\n|---|---|\n| " + "alpha " * 60 + "| x |\n", 40)
    assert len(chunks) > 2
    assert all(text.startswith("| A | B |\n|---|---|\n") for text in chunks)
    assert {word for text in chunks for word in text.split()} == {"|", "A", "B", "|---|---|", "alpha", "x"}


def test_a_fence_that_fits_stays_whole_with_the_line_that_announces_it() -> None:
    fence = "```py\n" + "".join(f"call({number})\n\n" for number in range(6)) + "```"
    before = _sentences(4)
    first, second = _texts(f"{before}\n\nThis calls it:\n\n{fence}\n", 60)
    assert first == before
    assert second == f"This calls it:\n\n{fence}"


def test_a_fence_that_is_too_long_is_cut_between_lines() -> None:
    lines = [f"    call_number_{number}(argument)" for number in range(20)]
    chunks = _texts("```py\n" + "\n".join(lines) + "\n```\n", 50)
    assert len(chunks) > 2
    assert [line for text in chunks for line in text.split("\n")] == ["```py", *lines, "```"]


def test_a_list_is_cut_between_entries_and_an_entry_keeps_what_is_nested_in_it() -> None:
    entry = "- Entry that says something:\n\n  ```\n  code of it\n  ```\n\n"
    chunks = _texts(entry * 6, 60)
    assert len(chunks) > 1
    assert all(text.startswith("- Entry") and text.endswith("  ```") for text in chunks)


def test_front_matter_and_link_definitions_and_html_are_kept() -> None:
    text = (
        "---\ntitle: A\n---\n\n# A\n\n<div>\n<b>x</b>\n</div>\n\n[1]: http://example.org\n\nText[^n].\n\n[^n]: Note.\n"
    )
    (chunk,) = _cut(text)
    assert chunk.text == text.rstrip("\n")


def test_a_rule_of_dashes_inside_a_document_is_no_front_matter() -> None:
    chunks = _cut(f"# A\n\nText.\n\n---\n# B\n---\n{_sentences(60)}\n")
    assert chunks[-1].heading_path == ("B",)


def test_plain_text_is_cut_between_paragraphs_then_sentences() -> None:
    paragraphs = [_sentences(4), _sentences(30), _sentences(3)]
    chunks = _texts("\n\n".join(paragraphs), 80)
    assert all(text.startswith("Sentence") and text.endswith(".") for text in chunks)


def test_hard_wrapped_prose_is_cut_after_a_sentence_and_not_after_a_line() -> None:
    words = " ".join(f"this sentence with the number {number} is wrapped. So" for number in range(60)).split()
    text = "\n".join(" ".join(words[at : at + 11]) for at in range(0, len(words), 11))
    assert all(chunk.endswith("wrapped.") for chunk in _texts(text, 90)[:-1])


def test_lines_that_are_no_prose_are_cut_between_lines() -> None:
    lines = [f"2026-01-0{number % 9 + 1} ERROR retry failed. Retry in {number} s" for number in range(40)]
    assert [line for text in _texts("\n".join(lines), 90) for line in text.split("\n")] == lines


def test_scripts_without_blanks_are_cut_after_their_own_full_stops() -> None:
    assert all(text.endswith("。") for text in _texts("这是第一个句子，它没有空格。" * 30, 60))
    assert all(text.endswith("؟") for text in _texts("هل هذا سؤال طويل جدا؟ " * 30, 60))
    assert all(text.endswith("।") for text in _texts("यह एक वाक्य है। " * 30, 60))


def test_what_has_no_boundary_is_cut_between_characters_and_their_marks() -> None:
    assert all(not text.startswith("\u0301") for text in _texts("e\u0301" * 400, 50))
    assert all(text.startswith("👩") and text.endswith("👧") for text in _texts("👩‍👩‍👧" * 60, 50))
    assert all(text.startswith("ก") for text in _texts("กำ" * 200, 50) if len(text) > 1)


def test_special_tokens_are_ordinary_text() -> None:
    (chunk,) = _cut("<|endoftext|>")
    assert chunk.text == "<|endoftext|>"
    assert chunk.tokens > 1


def test_a_path_too_long_for_a_quarter_of_the_limit_loses_its_outermost_headings() -> None:
    chunks = _cut(f"# {'outer ' * 30}\n\n## {'middle ' * 9}\n\n### inner\n\n{_sentences(20)}\n", 60)
    assert chunks[-1].heading_path == (("middle " * 9).strip(), "inner")
    (cut, *_) = _cut(f"# {'outer ' * 80}\n\nText.\n", 60)[-1].heading_path
    assert cut.endswith("outer…")
