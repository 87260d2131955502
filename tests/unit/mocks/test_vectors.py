"""The mock's vectors are the same every time, of length one, and near for texts that are alike."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocks.vectors import embed

SYLLABLES = [consonant + vowel for consonant in "bcdfghklmnprstvwz" for vowel in "aeiou"]


def chunks(count: int, words: int, seed: int = 7) -> list[str]:
    """Texts in a made-up language whose words are as unevenly common as real ones (Zipf)."""
    draw = random.Random(seed)
    vocabulary = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(6000)]
    weights = [1 / (rank + 30) for rank in range(len(vocabulary))]
    return [" ".join(draw.choices(vocabulary, weights, k=words)) for _ in range(count)]


def test_words_that_stand_in_one_chunk_find_it_among_hundreds() -> None:
    texts = chunks(500, 250)
    vectors = embed(texts, 1536, "m")
    draw = random.Random(3)
    found = 0
    for number in range(0, 500, 10):
        words = texts[number].split()
        at = draw.randrange(len(words) - 8)
        query = embed([" ".join(words[at : at + 8])], 1536, "m")[0]
        found += int((vectors @ query).argmax() == number)
    assert found >= 48, f"{found} of 50 queries found their chunk"


def test_like_texts_are_nearer_than_unlike_ones() -> None:
    texts = [
        "The harbour keeps a ledger of tides",
        "A ledger of the tides, kept in the harbour",
        "Stock prices fell in early trading",
    ]
    vectors = embed(texts, 1536, "m")
    assert vectors[0] @ vectors[1] > 0.5
    assert vectors[0] @ vectors[2] < 0.15


def test_another_form_of_a_word_is_still_near() -> None:
    near, far = embed(["harbours", "mountain"], 1536, "m") @ embed(["harboured"], 1536, "m")[0]
    assert near > far + 0.05


def test_text_without_blanks_is_found_by_a_part_of_it() -> None:
    texts = ["今日は港の潮がとても高いですね", "東京の天気は晴れで気温が低い", "株価は朝から下がっている"]
    scores = embed(texts, 1536, "m") @ embed(["港の潮が"], 1536, "m")[0]
    assert scores.argmax() == 0


def test_case_and_unicode_form_do_not_matter() -> None:
    first, second = embed(["ÉCOLE ﬁn", "e\u0301cole fin"], 512, "m")
    assert np.array_equal(first, second)


@pytest.mark.parametrize("text", ["!!!", " ", "。。", "\x00", "x", "🙂", "\ud800", "the the the"])
def test_no_text_is_too_poor_for_a_vector(text: str) -> None:
    assert np.linalg.norm(embed([text], 1536, "m")[0]) == pytest.approx(1)


@given(texts=st.lists(st.text(min_size=1), min_size=1, max_size=5), dimensions=st.integers(1, 64))
@settings(max_examples=100, deadline=None)
def test_every_vector_is_finite_and_of_length_one_whatever_stands_beside_it(texts: list[str], dimensions: int) -> None:
    vectors = embed(texts, dimensions, "m")
    assert vectors.shape == (len(texts), dimensions)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    alone = np.vstack([embed([text], dimensions, "m") for text in texts])
    assert np.allclose(vectors, alone, atol=1e-6)


def test_another_model_gives_other_vectors() -> None:
    first, second = (embed(["the harbour ledger"], 1536, model)[0] for model in ("small", "large"))
    assert abs(first @ second) < 0.3


def test_a_batch_of_256_chunks_takes_well_under_a_second() -> None:
    texts = chunks(256, 300)
    started = time.process_time()
    embed(texts, 1536, "m")
    assert time.process_time() - started < 0.9  # 0.08 s alone; the margin is for a loaded machine
