"""A trial goes the way of every document, alone, and leaves nothing; what it made is compared sample by sample."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from docproc.errors import ConfigError
from docproc.settings import Settings
from docproc.smoke import QUESTION, Smoker, judged
from docproc.states import State
from docproc.trials import Sample, Trial, differences
from docproc.trials.taking import MOST_FILES, samples_in, take
from tests.conftest import COUNTERS, TABLES, MakeApp
from tests.integration.bench import Bench, bring, drain
from tests.support import FIXTURES, Mocks

PAGES = [FIXTURES / "documents" / name for name in ("tide-api.md", "bicycle-workshop.pdf")]


def rows(bench: Bench) -> dict[str, int]:
    """The number of rows of every table but that of the rate limits' clocks."""
    counts = {table: bench.count(table) for table in TABLES if table not in COUNTERS}
    # What it cost stays in the sums of the day and the month.
    (runs,) = bench.sql("SELECT count(*) AS count FROM docproc.spending WHERE period LIKE 'run%'")
    return counts | {"spending": runs["count"]}


def files(settings: Settings) -> set[Path]:
    """Every path in the storage."""
    return set((settings.home / "storage").rglob("*"))


def test_a_trial_leaves_no_trace_and_touches_nobody_elses_jobs(
    make_app: MakeApp, settings: Settings, bench: Bench, tmp_path: Path
) -> None:
    app = make_app()
    app.refuse_mixing()
    bring(app, tmp_path / "done.md", "# Done\n\nComplete before the trial.")
    drain(app)
    bring(app, tmp_path / "waiting.md", "# Waiting\n\nStill to be parsed.")
    before, stored, states = rows(bench), files(settings), bench.states()
    trial = take(settings, PAGES)
    assert [(sample.name, sample.complete) for sample in trial.samples] == [
        ("bicycle-workshop.pdf", True),
        ("tide-api.md", True),
    ]
    assert rows(bench) == before
    assert files(settings) == stored
    assert bench.states() == states == {"done.md": "complete", "waiting.md": "uploaded"}


def test_a_trial_says_what_was_made_of_each_sample(settings: Settings, bench: Bench) -> None:
    trial = take(settings, PAGES, questions=("how is a puncture mended",))
    pdf, markdown = trial.samples
    assert pdf.states == tuple(map(str, (State.UPLOADED, *list(State)[1:9])))
    assert pdf.chunks == pdf.vectors == pdf.shown > 1
    assert pdf.dimensions == (settings.embedder.dimensions,)
    assert (pdf.paid, markdown.paid) == (True, False)
    assert {bought.operation: bought.unit for bought in trial.bought} == {"parse": "page", "embed": "token"}
    assert trial.usd == 0.0  # the mocks are free
    (found,) = trial.found
    assert found.names[0] == "bicycle-workshop.pdf"
    assert bench.count("api_calls") == 0
    assert Trial.of(trial.document()) == trial


def test_a_trial_of_an_unused_database_does_not_decide_with_which_services_it_is_used(
    settings: Settings, bench: Bench
) -> None:
    take(settings, PAGES[:1])
    assert bench.count("installation") == 0


def test_what_cannot_come_in_is_part_of_the_account(settings: Settings, bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "virus.exe").write_bytes(b"MZ\x90\x00")
    trial = take(settings, [*PAGES[:1], tmp_path / "virus.exe"])
    assert {Path(s.name).name: (s.state, s.code) for s in trial.samples} == {
        "tide-api.md": ("complete", ""),
        "virus.exe": ("refused", "ingest.unsupported"),
    }


def test_a_trial_that_takes_too_long_is_stopped_and_removed(settings: Settings, services: Mocks, bench: Bench) -> None:
    services.set_faults("llamaparse.stuck")
    smoke = Smoker(timeout=1.5).smoke(settings, None)
    assert {sample.name: sample.state for sample in smoke.trial.samples}["canary.pdf"] == "parse_queued"
    assert [str(error) for error in smoke.errors] == ["canary.pdf: state parse_queued, expected complete"]
    assert not any(rows(bench).values())


def test_too_many_samples_are_refused_before_anything_is_paid(tmp_path: Path, services: Mocks) -> None:
    for number in range(MOST_FILES + 1):
        (tmp_path / f"{number}.md").write_text("x")
    with pytest.raises(ConfigError, match="too much for a trial"):
        samples_in([str(tmp_path)])
    with pytest.raises(ConfigError, match="cannot be read"):
        samples_in([str(tmp_path / "missing*")])


def test_the_canary_is_found_by_its_question(settings: Settings, bench: Bench) -> None:
    smoke = Smoker().smoke(settings, None)
    assert smoke.differences == ()
    (found,) = smoke.trial.found
    assert found.question == QUESTION
    assert set(found.names) == {"canary.md", "canary.pdf"}


GOOD = Sample("a.pdf", "complete", states=("uploaded", "complete"), paid=True, chunks=2, vectors=2, shown=2)
BEFORE = Trial("local", "mock", "mock", (replace(GOOD, dimensions=(1536,), texts="x"),), 1.0)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"state": "failed_parse", "code": "parse.failed", "chunks": 0, "shown": 0}, "state"),
        ({"states": ("uploaded", "parsed", "complete")}, "states passed"),
        ({"dimensions": (256,)}, "dimensions"),
        ({"chunks": 3}, "chunks"),
        ({"shown": 1}, "chunks shown"),
        ({"texts": "y"}, "texts"),
    ],
)
def test_every_difference_is_named(change: dict[str, object], what: str) -> None:
    now = replace(BEFORE, samples=(replace(BEFORE.samples[0], **change),))  # type: ignore[arg-type]
    assert [(d.what, d.severity) for d in differences(BEFORE, now)] == [(what, "error")]
    assert differences(BEFORE, BEFORE) == []


def test_another_parser_may_give_other_text_but_no_other_state() -> None:
    now = replace(BEFORE, parser="real", samples=(replace(BEFORE.samples[0], chunks=3, shown=3, texts="y"),))
    assert {d.severity for d in differences(BEFORE, now)} == {"warn"}
    unpaid = replace(BEFORE, samples=(replace(BEFORE.samples[0], paid=False),))
    assert {d.severity for d in differences(unpaid, now)} == {"error"}
    lost = replace(now, samples=())
    assert [(d.what, d.found, d.severity) for d in differences(BEFORE, lost)] == [("state", "missing", "error")]


def test_what_must_be_so_is_looked_at_without_an_expectation(settings: Settings) -> None:
    short = replace(BEFORE.samples[0], vectors=1, shown=1, dimensions=(256,))
    told = judged(replace(BEFORE, samples=(short,)), settings)
    assert [(d.what, d.expected) for d in told.errors] == [("dimensions", "[1536]"), ("vectors", "2, all shown")]
