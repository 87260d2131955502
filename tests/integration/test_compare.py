"""Documents through two or more profiles for real: what differs is told, what does not is 100 % equal, none stay."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from docproc.compare import Comparison, Question
from docproc.compare.running import compare
from docproc.compare.variants import SCRATCH, variants
from docproc.errors import Exit, StoppedError
from tests.conftest import COUNTERS, clone
from tests.support import FIXTURES, Mocks

DOCUMENTS = FIXTURES / "documents"
PROFILES = """
[parser]
first_poll = 0.05
max_poll = 0.2
reconcile_grace = 0.0
[runner]
backoff_base = 0.01
backoff_cap = 0.05
[profile.one]
[profile.two]
[profile.small.chunker]
name = "markdown-simple@1+max=200"
[profile.thin.embedder]
dimensions = 256
[profile.narrow.ingest]
max_bytes = 5000
"""

Place = Callable[[str], str]


@pytest.fixture
def profiles(tmp_path: Path, services: Mocks, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docproc.toml with short waits; the services are the session's mocks."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("DOCPROC_MOCKS_ADDRESS", services.address)
    monkeypatch.setenv("DOCPROC_HOME", str(tmp_path / "home"))
    file = tmp_path / "docproc.toml"
    file.write_text(PROFILES)
    return file


@pytest.fixture
def deploy(server: str, migrated: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Gives a profile a migrated database of its own; returns its conninfo."""

    def place(profile: str) -> str:
        conninfo = clone(server, "template_docproc", f"compare_{profile}")
        monkeypatch.setenv(f"{profile.upper()}_DATABASE_URL", conninfo)
        return conninfo

    return place


def rows(conninfo: str) -> dict[str, int]:
    """How many rows every table of docproc's has; what goes on counting belongs to no document."""
    tables = (
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'docproc' AND table_type = 'BASE TABLE'"
    )
    with psycopg.connect(conninfo) as conn:
        names = [name for (name,) in conn.execute(tables)]
        counts = {name: conn.execute(f"SELECT count(*) FROM docproc.{name}".encode()).fetchone() for name in names}
    return {name: count[0] for name, count in counts.items() if count and name not in COUNTERS}


def run(profiles: Path, *names: str, samples: tuple[str, ...] = ("tide-api.md", "beekeeping.pptx")) -> Comparison:
    """Compares the profiles ``names`` by fixtures."""
    return compare(variants(names, file=profiles), [DOCUMENTS / sample for sample in samples])


def test_local_equals_itself_and_a_deployed_database_in_which_nothing_stays(
    profiles: Path, deploy: Place, tmp_path: Path
) -> None:
    conninfo = deploy("one")
    before = rows(conninfo)
    it = run(profiles, "local", "local", "one")
    assert [result.where == SCRATCH for result in it.results] == [True, True, False]
    assert it.others == {"local (2)": [], "one": []}
    assert it.measures()["complete"] == [2, 2, 2]
    assert it.exit_code("warn") is Exit.OK
    assert rows(conninfo) == before
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()] == []


def test_two_chunkers_differ_in_chunks_and_in_nothing_else(profiles: Path, deploy: Place) -> None:
    for profile in ("one", "small"):
        deploy(profile)
    it = run(profiles, "one", "small")
    seen = it.measures()
    assert seen["chunks"][0] < seen["chunks"][1]  # type: ignore[operator]
    assert seen["tokens_per_chunk"][0] > seen["tokens_per_chunk"][1]  # type: ignore[operator]
    assert seen["states"] == ["equal", "equal"]
    told = it.others["small"]
    assert told is not None
    assert {difference.what for difference in told} == {"chunks", "chunks shown"}
    assert it.exit_code("error") is Exit.PROBLEMS


def test_two_models_differ_in_dimensions_and_are_asked_the_same_questions(profiles: Path, deploy: Place) -> None:
    for profile in ("one", "thin"):
        deploy(profile)
    samples = [DOCUMENTS / name for name in ("night-ferry.txt", "tide-api.md", "seed-library.txt")]
    questions = (
        Question("who sleeps in corridor C", "night-ferry.txt"),
        Question("in which header is the key sent", "tide-api.md"),
    )
    it = compare(variants(["one", "thin"], file=profiles), samples, questions=questions)
    assert it.measures()["dimensions"] == ["1536", "256"]
    told = it.others["thin"]
    assert told is not None
    assert [(difference.what, difference.found) for difference in told] == [("dimensions", "[256]")] * 3
    assert it.ranks(it.first) == [1, 1]
    assert all(rank is not None for rank in it.ranks(it.results[1]) or [None])


def test_a_variant_that_cannot_be_reached_is_told_and_the_others_are_kept(
    profiles: Path, deploy: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for profile in ("one", "two"):
        deploy(profile)
    monkeypatch.setenv("THIN_DATABASE_URL", "postgresql://nobody:hunter22@127.0.0.1:9/nowhere?connect_timeout=2")
    lines: list[str] = []
    chosen = variants(["one", "thin", "two"], file=profiles)
    it = compare(chosen, [DOCUMENTS / "tide-api.md"], runs=2, told=lines.append)
    assert it.exit_code(None) is Exit.DATABASE
    assert it.others == {"thin": None, "two": []}
    assert [len(result.trials) for result in it.results] == [2, 0, 2]
    # In turn, and the one that cannot be reached is tried once.
    assert [line.partition(":")[0] for line in lines] == ["one", "thin", "two", "one", "two"]
    assert "hunter22" not in str(it.document())


def test_a_key_that_is_refused_is_told_before_a_page_is_paid_for(
    profiles: Path, deploy: Place, services: Mocks
) -> None:
    for profile in ("one", "two"):
        deploy(profile)
    before = services.bill() | {"requests": None}
    services.set_faults("openai.unauthorized:on=models+embeddings")
    it = run(profiles, "one", "two")
    assert [result.trials for result in it.results] == [(), ()]
    assert it.exit_code(None) is Exit.CREDENTIALS
    assert services.bill() | {"requests": None} == before


def test_what_one_variant_does_not_take_is_told_by_the_exit_code(profiles: Path, deploy: Place) -> None:
    for profile in ("one", "narrow"):
        deploy(profile)
    it = run(profiles, "one", "narrow", samples=("night-ferry.txt", "beekeeping.pptx"))
    assert it.measures()["complete"] == [2, 1]
    assert it.measures()["failed"] == [0, 1]
    assert it.exit_code(None) is Exit.SOME_FAILED


def test_a_signal_between_two_runs_ends_the_comparison_in_good_order(profiles: Path, deploy: Place) -> None:
    places = [deploy(profile) for profile in ("one", "two")]
    before = [rows(place) for place in places]
    lines: list[str] = []

    def interrupt(line: str) -> None:
        lines.append(line)
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(StoppedError) as caught:
        compare(variants(["one", "two"], file=profiles), [DOCUMENTS / "night-ferry.txt"], told=interrupt)
    assert caught.value.exit_code is Exit.TERMINATED
    assert len(lines) == 1
    assert [rows(place) for place in places] == before


def test_a_document_that_fails_everywhere_is_no_difference(profiles: Path, deploy: Place) -> None:
    for profile in ("one", "two"):
        deploy(profile)
    samples = [FIXTURES / "broken" / "corrupt.pdf", FIXTURES / "broken" / "good.md"]
    it = compare(variants(["one", "two"], file=profiles), samples)
    assert it.measures()["failed"] == [1, 1]
    assert it.others == {"two": []}
    assert it.exit_code("warn") is Exit.OK
