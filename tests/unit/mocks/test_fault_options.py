"""The options of a fault: what it spares, when it ends, and the limit that it can be."""

from __future__ import annotations

import time
from typing import Any

import llama_cloud
import openai
import pytest

from tests.unit.mocks.fault_checks import SMALL, fetch, submit


def test_usage_is_null_first_and_a_number_later(server: Any) -> None:
    server.order("llamaparse.usage_null:seconds=0.2")
    job = submit(server)
    assert fetch(server, job.id).job.usage is None
    deadline = time.monotonic() + 5
    while (usage := fetch(server, job.id).job.usage) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert usage.credits == 1


def test_a_match_strikes_one_text_and_spares_the_others(server: Any) -> None:
    server.order("openai.bad_input:match=poison")
    client = server.openai()
    client.embeddings.create(model=SMALL, input=["good", "fine"])
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model=SMALL, input=["good", "a poisoned one"])


def test_a_match_on_a_file_looks_into_its_name_and_its_text(server: Any) -> None:
    server.order("llamaparse.payment_required:match=invoice")
    for name, text in (("invoice.md", "words"), ("page.md", "an invoice")):
        file = server.llamaparse().files.create(file=(name, text.encode()), purpose="parse")
        with pytest.raises(llama_cloud.APIStatusError):
            server.llamaparse().parsing.create(file_id=file.id, tier="fast", version="latest")
    submit(server)


def test_over_and_per_make_a_limit_that_lets_through_what_it_allows(server: Any) -> None:
    server.order("openai.rate_limit:over=3,per=1")
    client = server.openai()

    def passes() -> bool:
        try:
            client.embeddings.create(model=SMALL, input=["a word"])
        except openai.RateLimitError:
            return False
        return True

    assert [passes() for _ in range(5)] == [True, True, True, False, False]
    deadline = time.monotonic() + 5
    while not (again := passes()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert again


def test_over_tokens_makes_a_limit_on_tokens_that_refused_requests_do_not_use_up(server: Any) -> None:
    server.order("openai.rate_limit:over_tokens=10,per=60")
    client = server.openai()

    def passes(words: int) -> bool:
        try:
            client.embeddings.create(model=SMALL, input=["a word" + " word" * (words - 2)])
        except openai.RateLimitError:
            return False
        return True

    assert [passes(words) for words in (6, 5, 4, 2)] == [True, False, True, False]
    assert not passes(20)
