"""The index counts every span of a text as if the span had been encoded by itself."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from docproc import tokens
from docproc.chunkers.token_index import TokenIndex

_MIXED = st.lists(
    st.text(max_size=9)
    | st.sampled_from(
        ["word ", "end.\n", "\n\n", "  \n", "don't", "1234567", "字。", ");\n", "\t", "\r\n", "👍🏽", "\x1c", "\u2028"]
    ),
    max_size=40,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(_MIXED, st.data())
def test_a_span_has_as_many_tokens_as_when_it_is_encoded_alone(text: str, data: st.DataObject) -> None:
    ends = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    index = TokenIndex(text)
    start, end = index.trim(*ends)
    assert text[start:end].strip() == text[ends[0] : ends[1]].strip()
    assert index.count(start, end) == tokens.count(text[start:end])
    if start < end:
        within = index.count_within(start, end, 10)
        assert within == (tokens.count(text[start:end]) if tokens.count(text[start:end]) <= 10 else None)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 90_000), st.integers(1, 3_000))
@example(16_000, 800)
def test_the_windows_in_which_a_long_text_is_encoded_do_not_show(start: int, size: int) -> None:
    index = _LONG
    start, end = index.trim(start, min(start + size, len(index.text)))
    assert index.count(start, end) == tokens.count(index.text[start:end])


_LONG = TokenIndex("A line of words, größer als 字 and 12345 others.\n    indented; text\n   \n  \n" * 1_500)


def test_the_header_of_a_token_split_inside_a_character_is_that_character() -> None:
    text = "\U0002ebf0" * 40
    index = TokenIndex(text)
    assert index.reach(0, 1) == 1
    assert all(0 < index.reach(at, 5) - at <= 5 for at in range(30))
