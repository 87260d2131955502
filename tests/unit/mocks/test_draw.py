"""The draw strikes the requests that a rule describes, the same ones on every run."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from mocks.faults import Faults, Subject, parse_rule


def test_times_ends_a_fault_and_after_begins_it() -> None:
    faults = Faults(["openai.slow:after=2,times=3"])
    assert [len(faults.draw("embeddings", Subject(str(n)))) for n in range(8)] == [0, 0, 1, 1, 1, 0, 0, 0]


def test_a_refusal_stands_alone_and_uses_up_no_other_fault() -> None:
    faults = Faults(["openai.slow", "openai.server_error:times=1"])
    assert [[rule.fault.name for rule in faults.draw("embeddings", Subject())] for _ in range(2)] == [
        ["openai.server_error"],
        ["openai.slow"],
    ]


def test_a_rate_strikes_about_that_share_and_the_same_requests_in_any_order() -> None:
    keys = [str(number) for number in range(2000)]

    def struck(order: list[str], seed: int) -> set[str]:
        faults = Faults(["openai.slow:rate=0.1"], seed)
        return {key for key in order if faults.draw("embeddings", Subject(key))}

    first = struck(keys, 1)
    assert 150 < len(first) < 250
    assert struck(keys[::-1], 1) == first
    assert struck(keys, 2) != first


def test_a_request_that_is_repeated_is_drawn_anew() -> None:
    faults = Faults(["openai.slow:rate=0.5"])
    assert {len(faults.draw("embeddings", Subject("same"))) for _ in range(50)} == {0, 1}


@pytest.mark.parametrize(
    "spec",
    [
        "openai.nothing",
        "openai.slow:speed=1",
        "openai.slow:seconds=long",
        "openai.slow:on=submit",
        "llamaparse.failed:on=poll",
        "openai.slow:rate",
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_what_could(server: Any, spec: str) -> None:
    with pytest.raises(ValueError, match=r"fault|option|number|on="):
        parse_rule(spec)
    answer = httpx.put(f"{server.url}/mock/faults", json={"faults": [spec]})
    assert (answer.status_code, bool(answer.json()["detail"])) == (400, True)
