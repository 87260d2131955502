"""How missing chunks are packed into requests, as a pure function."""

from __future__ import annotations

from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from docproc.model import PendingChunk
from docproc.stages.embed import pack

NOBODY = UUID(int=0)

sizes = st.lists(st.integers(min_value=1, max_value=120), max_size=60)
limits = st.integers(min_value=1, max_value=12)


def chunk(n: int, tokens: int) -> PendingChunk:
    return PendingChunk(UUID(int=n), n, NOBODY, "default", f"text {n}", f"sha {n}", tokens)


def packed(tokens: list[int], max_inputs: int, max_tokens: int) -> list[list[PendingChunk]]:
    return list(pack(map(chunk, range(len(tokens)), tokens), max_inputs=max_inputs, max_tokens=max_tokens))


@given(sizes, limits, st.integers(min_value=1, max_value=200))
def test_requests_hold_every_chunk_once_and_in_order(tokens: list[int], max_inputs: int, max_tokens: int) -> None:
    requests = packed(tokens, max_inputs, max_tokens)
    assert [c for request in requests for c in request] == list(map(chunk, range(len(tokens)), tokens))
    assert all(requests)


@given(sizes, limits, st.integers(min_value=1, max_value=200))
def test_no_request_is_over_a_limit_unless_one_chunk_alone_is(
    tokens: list[int], max_inputs: int, max_tokens: int
) -> None:
    for request in packed(tokens, max_inputs, max_tokens):
        assert len(request) <= max_inputs
        assert sum(c.tokens for c in request) <= max_tokens or len(request) == 1


@given(sizes, limits, st.integers(min_value=1, max_value=200))
def test_no_request_ends_while_the_next_chunk_would_fit(tokens: list[int], max_inputs: int, max_tokens: int) -> None:
    requests = packed(tokens, max_inputs, max_tokens)
    for request, following in pairwise(requests):
        room = max_tokens - sum(c.tokens for c in request)
        assert len(request) == max_inputs or following[0].tokens > room


def test_nothing_makes_no_request() -> None:
    assert packed([], 10, 10) == []
