"""The default chunker lets a search find more of the right text than fixed windows do, and no less than it did."""

import pytest

from tests.performance.retrieval.questions import QUESTIONS
from tests.performance.retrieval.retrieval import gold, measure

FLOORS = {
    "markdown-simple@1": (85.0, 0.85, 80.0),
    "markdown-simple@1+max=200": (82.0, 1.6, 92.0),
}
"""Recall@5, IoU and r@1k, some two questions below what was measured: 90.2, 0.9, 85.4 and 87.8, 1.8, 97.6."""


def test_there_are_questions_enough_and_every_answer_stands_in_its_document_once() -> None:
    assert len(QUESTIONS) >= 30
    assert all(end > start for start, end in map(gold, QUESTIONS))


@pytest.mark.parametrize("spec", FLOORS)
def test_a_search_finds_as_much_as_it_did(spec: str) -> None:
    found = measure(spec)
    for seen, floor in zip((found.recall, found.iou, found.at_budget), FLOORS[spec], strict=True):
        assert seen >= floor, found


@pytest.mark.parametrize(
    ("default", "fixed"),
    [("markdown-simple@1", "tokens@1"), ("markdown-simple@1+max=200", "tokens@1+max=200")],
)
def test_cutting_at_headings_beats_fixed_windows_of_the_same_size(default: str, fixed: str) -> None:
    ours, theirs = measure(default), measure(fixed)
    assert ours.recall > theirs.recall
    assert ours.iou > theirs.iou
    assert ours.at_budget > theirs.at_budget + 5
