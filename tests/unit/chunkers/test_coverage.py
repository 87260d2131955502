"""The proof finds the first character that no chunk holds, however the text comes."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from docproc.chunkers.coverage import Proof
from docproc.model import Chunk

_TEXT = st.text("ab \n\u3000", max_size=60)


def _chunk(start: int, end: int) -> Chunk:
    return Chunk(0, "x", start, end, (), 1, 1, 1, "x")


@given(_TEXT, st.lists(st.integers(0, 60)), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8))
def test_the_first_character_in_no_chunk_is_found(text: str, cuts: list[int], spans: list[tuple[int, int]]) -> None:
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[start:end] for start, end in pairwise(edges)]
    chunks = [_chunk(start, end) for start, end in sorted(spans) if start < end <= len(text)]
    held = {place for chunk in chunks for place in range(chunk.start, chunk.end)}
    lost = [place for place, character in enumerate(text) if not character.isspace() and place not in held]
    proof = Proof(pieces)
    assert list(proof.of(chunks)) == chunks
    assert proof.lost == (lost[0] if lost else None)
