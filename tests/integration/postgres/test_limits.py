"""The shared rate limit: turns of several processes over one row, without a wait in the tests."""

from __future__ import annotations

import sys
from itertools import islice

import pytest

from docproc.limits import AHEAD, BURST, EMPTY, LARGEST_SHARE, PATIENCE, SCARCE, USED_SHARE, Limits
from docproc.model import Rates
from docproc.postgres.rate_limits import RateLimits
from tests.integration.bench import Bench


def limits(bench: Bench, *, requests: int = 0, tokens: int = 0) -> Limits:
    """The limit as one process holds it."""
    return Limits(RateLimits(bench.database), "openai.test", requests=requests, tokens=tokens)


def test_without_a_limit_every_request_goes_at_once(bench: Bench) -> None:
    free = limits(bench)
    assert [free.turn(100_000) for _ in range(50)] == [0.0] * 50
    assert free.largest_request == sys.maxsize


@pytest.mark.parametrize(
    ("requests", "tokens", "asked", "cost"),
    [(60, 0, 9, 1.0), (0, 60_000, 1_000, 1.0), (600, 60_000, 500, 0.5), (120, 6_000_000, 10, 0.5)],
)
def test_two_processes_share_the_scarcer_limit_in_turns(
    bench: Bench, requests: int, tokens: int, asked: int, cost: float
) -> None:
    two = [limits(bench, requests=requests, tokens=tokens) for _ in range(2)]
    turns = [two[n % 2].turn(asked) for n in range(40)]
    spaced = cost / USED_SHARE
    # In any minute no more than the limit: the n-th turn comes n costs after the first, less the burst.
    for n, turn in enumerate(sorted(turns)):
        assert turn >= n * spaced - BURST - AHEAD - spaced
    assert max(turns) <= 40 * spaced
    assert sum(turn == 0.0 for turn in turns) <= (BURST + AHEAD) / spaced + 2


def test_small_and_large_requests_in_turn_lose_nothing_of_the_limit(bench: Bench) -> None:
    tokens, sizes = 200_000, (5_000, 600, 5_000, 1_700)
    two = [limits(bench, tokens=tokens) for _ in range(2)]
    turns = [two[n % 8 // 4].turn(sizes[n % 4]) for n in range(40)]
    spent = 10 * sum(sizes) / tokens * 60 / USED_SHARE
    assert spent - BURST - 2 * AHEAD - 2 <= max(turns) <= spent


def test_small_requests_ask_the_database_once_a_second_of_the_limit(bench: Bench) -> None:
    asked = 0

    class Counting(RateLimits):
        def reserve(self, name: str, *, seconds: float, burst: float, patience: float) -> float:
            nonlocal asked
            asked += 1
            return super().reserve(name, seconds=seconds, burst=burst, patience=patience)

    many = Limits(Counting(bench.database), "openai.test", requests=6_000)
    for _ in range(500):
        many.turn(1)
    assert asked <= 500 / (6_000 / 60 * USED_SHARE) + 2


def test_no_request_is_so_large_that_a_minute_could_come_over_the_limit(bench: Bench) -> None:
    tokens = 200_000
    limited = limits(bench, tokens=tokens)
    assert limited.largest_request == tokens * LARGEST_SHARE
    sent = 0
    turn = 0.0
    while turn < 60:
        turn = limited.turn(limited.largest_request)
        sent += limited.largest_request if turn < 60 else 0
    assert 0.9 * tokens <= sent <= tokens


def test_a_pause_holds_for_every_process_and_its_places_are_not_taken(bench: Bench) -> None:
    one, other = limits(bench), limits(bench, requests=60)
    one.pause(3_600)
    for process in (one, other, limits(bench)):
        for turn in islice(iter(lambda p=process: p.turn(10), None), 3):  # type: ignore[misc]
            assert 3_590 < turn <= 3_600
    bench.sql("UPDATE docproc.rate_limits SET free_at = now()")
    assert other.turn(10) < 1.0


def test_a_place_later_than_the_patience_is_not_kept(bench: Bench) -> None:
    slow = limits(bench, requests=1)
    turns = [slow.turn(1) for _ in range(5)]
    assert turns[0] == 0.0
    assert all(turn > PATIENCE for turn in turns[2:])
    assert max(turns) - min(turns[2:]) < 5, "nobody queues up behind a place that nobody holds"


def test_a_limit_that_nobody_configured_is_kept_to_once_it_is_scarce(bench: Bench) -> None:
    learning = limits(bench)
    learning.heard(Rates(60, 1_000_000, left=SCARCE + 0.1))
    assert learning.turn(10) == 0.0
    learning.heard(Rates(60, 1_000_000, left=SCARCE / 2))
    turns = [learning.turn(10) for _ in range(6)]
    assert turns[-1] > 3 / USED_SHARE


def test_the_provider_s_word_lowers_a_configured_limit_and_never_raises_it(bench: Bench) -> None:
    told = limits(bench, requests=600, tokens=100_000)
    told.heard(Rates(60, 4_000_000))
    assert told.largest_request == 100_000 * LARGEST_SHARE
    turns = [told.turn(10) for _ in range(6)]
    assert turns[-1] > 3 / USED_SHARE


def test_when_nothing_is_left_everybody_waits_until_it_is_full_again(bench: Bench) -> None:
    one, other = limits(bench), limits(bench)
    one.heard(Rates(60, 1_000_000, left=EMPTY / 2, full_in=20.0))
    assert 18 < other.turn(10) <= 20
