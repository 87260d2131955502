"""Ten questions with known answers, through everything: with vectors alone, and with words beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePath

import pytest

from docproc import config
from docproc.app import App
from docproc.search import search
from tests.e2e.conftest import FullRun

QUESTIONS = [
    ("when is the bearing of the main shaft greased", "wind-farm-handbook.pdf", 28),
    ("which valve closed after the firmware update", "cooling-incident.pdf", 1),
    ("what does a stiff link of the chain do", "bicycle-workshop.pdf", 5),
    ("moon_mood", "tide-api.md", 1),
    ("wer lebt im Leuchtturm Museum Öllager", "leuchtturm-museum.pdf", 1),
    ("where is lost property kept", "night-ferry.txt", 1),
    ("how long do parsnip seeds keep", "seed-library.txt", 1),
    ("oxalic acid in December", "beekeeping.pptx", 7),
    ("cardamom bun price", "bakery-costs.xlsx", 4),
    ("A6 2019", "wind-farm-handbook.pdf", 10),
]
ANSWERED_BY_VECTORS = 6
"""First places without the words: the others are names, numbers and rare words, which words find better."""


@pytest.fixture(scope="module")
def app(full_run: FullRun) -> Iterator[App]:
    """docproc in this process, over the full run's database."""
    with App(config.load(environ=full_run.docproc.environ)) as opened:
        yield opened


def answered(app: App, *, hybrid: bool) -> list[str]:
    """The questions whose first hit is in the right document, and with hybrid on the right page."""
    found = []
    for words, name, page in QUESTIONS:
        hit = search(app, words, limit=1, hybrid=hybrid)[0]
        if PurePath(hit.source).name == name and (not hybrid or hit.page_first <= page <= hit.page_last):
            found.append(words)
    return found


def test_vectors_and_words_together_answer_every_question(app: App) -> None:
    assert answered(app, hybrid=True) == [words for words, _, _ in QUESTIONS]


def test_vectors_alone_answer_most_questions(app: App) -> None:
    found = answered(app, hybrid=False)
    assert len(found) >= ANSWERED_BY_VECTORS
    assert "A6 2019" not in found


def test_the_command_takes_the_words_into_account_when_asked(full_run: FullRun) -> None:
    said = full_run.docproc.run("search", "--hybrid", "--json", "-k", "3", "A6 2019")
    assert said.returncode == 0, said.stderr
    hits = json.loads(said.stdout)["hits"]
    assert len(hits) == 3
    assert "A6" in hits[0]["text"]
    assert 0 < hits[0]["score"] <= 2 / 61


def test_the_filters_of_the_command_hold_for_the_words_too(full_run: FullRun) -> None:
    said = full_run.docproc.run("search", "--hybrid", "--json", "--source", "tide-api", "lost property")
    assert {PurePath(hit["source"]).name for hit in json.loads(said.stdout)["hits"]} == {"tide-api.md"}
    said = full_run.docproc.run("search", "--hybrid", "--json", "--user", "nobody", "lost property")
    assert json.loads(said.stdout)["hits"] == []


@pytest.mark.parametrize("words", ['"', "(", "a & | b", "\\", "' OR 1=1", "100%", "“”"])
def test_no_words_are_an_error_of_the_syntax(app: App, words: str) -> None:
    search(app, words, limit=3, hybrid=True)
