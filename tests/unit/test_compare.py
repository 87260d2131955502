"""Holds a comparison to its arithmetic, its exit codes, its bounds, and the shape of its reports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from docproc.compare import Comparison, Question, Result
from docproc.compare.bounds import TooDearError, bounds, refuse_dear
from docproc.compare.running import questions_in
from docproc.compare.variants import SCRATCH, Variant, variants
from docproc.errors import ConfigError, DatabaseError, Exit, ProgramError
from docproc.settings import EmbedderSettings, Settings
from docproc.states import OPEN, State
from docproc.trials import Bought, Found, Sample, Trial
from docproc.views import compare as views
from docproc.views.words import dollars
from tests.support import FIXTURES

PASSED = tuple(map(str, (*OPEN, State.COMPLETE)))
STOOD = {str(state): 0.25 for state in OPEN}


def sample(name: str, chunks: int = 2, state: str = "complete", **more: object) -> Sample:
    """A document that is complete unless told otherwise."""
    made = Sample(name, state, "", PASSED, STOOD, False, 1, chunks, 100, chunks, (1536,), chunks, f"{chunks:032x}")
    return replace(made, **more)  # type: ignore[arg-type]


def trial(*samples: Sample, seconds: float = 2.0, found: tuple[Found, ...] = (), usd: float | None = 0.0) -> Trial:
    """A run of ``samples`` on mocks."""
    bought = (Bought("llamaparse", "parse", 1, "page", 9, 0.0), Bought("openai", "embed", 3, "token", 500, usd))
    return Trial("local", "mock", "mock", samples, seconds, bought, found)


def result(name: str, *trials: Trial, trouble: ProgramError | None = None) -> Result:
    """A variant that was run in a database made for it."""
    return Result(name, SCRATCH, "markdown-simple@1", "text-embedding-3-small", "fast", trials, trouble)


ASKED = (Question("who sleeps", "ferry.txt"), Question("how many | mites", "bees.md"))


@pytest.fixture
def compared() -> Comparison:
    """Two variants, of which the second cuts one of two documents otherwise and finds one answer later."""
    found = (Found("who sleeps", ("ferry.txt", "bees.md")), Found("how many | mites", ("bees.md",)))
    later = (found[0], Found("how many | mites", ("ferry.txt", "ferry.txt", "bees.md")))
    one = [trial(sample("bees.md"), sample("ferry.txt"), seconds=seconds, found=found) for seconds in (4.0, 1.0, 2.0)]
    two = [
        trial(sample("bees.md", 5), sample("ferry.txt"), seconds=seconds, found=later, usd=0.004)
        for seconds in (9.0, 3.0, 3.0)
    ]
    return Comparison((result("large", *one), result("small", *two)), ASKED)


def test_everything_that_is_measured_stands_side_by_side(compared: Comparison) -> None:
    seen = compared.measures()
    assert seen["complete"] == [2, 2]
    assert seen["chunks"] == [4, 7]
    assert seen["tokens_per_chunk"] == [50, pytest.approx(200 / 7)]
    assert seen["seconds"] == [2.0, 3.0]
    assert seen["ratio"] == [1.0, 1.5]
    assert seen["documents_per_second"] == [1.0, pytest.approx(2 / 3)]
    assert seen["parse_seconds"] == [0.5, 0.5]
    assert seen["embed_seconds"] == [1.0, 1.0]
    assert seen["usd"] == [0.0, 0.004]
    assert (seen["parser_pages"], seen["embedder_tokens"]) == ([9, 9], [500, 500])
    assert seen["states"] == ["equal", "equal"]
    assert seen["unsteady"] == [0, 0]


def test_recall_and_reciprocal_rank_are_of_the_first_passage_from_the_right_document(compared: Comparison) -> None:
    seen = compared.measures()
    assert seen["recall_at_1"] == [1.0, 0.5]
    assert seen["recall_at_5"] == [1.0, 1.0]
    assert seen["mrr"] == [1.0, pytest.approx((1 + 1 / 3) / 2)]


def test_an_answer_that_is_not_found_has_no_rank_and_adds_nothing() -> None:
    nothing = trial(sample("bees.md"), found=(Found("how many | mites", ("ferry.txt",)),))
    it = Comparison((result("one", nothing), result("two", nothing)), ASKED[1:])
    assert it.ranks(it.first) == [None]
    assert it.measures()["mrr"] == [0.0, 0.0]


def test_a_variant_that_is_not_the_same_each_run_is_told() -> None:
    unsteady = result("one", trial(sample("a"), sample("b")), trial(sample("a"), sample("b", 3)))
    assert Comparison((unsteady, unsteady)).measures()["unsteady"] == [1, 1]


def test_a_price_that_nobody_knows_is_a_question_mark_and_never_a_zero() -> None:
    it = Comparison((result("one", trial(sample("a"), usd=None)), result("two", trial(sample("a")))))
    assert it.measures()["usd"] == [None, 0.0]
    assert "| cost of a run | ? | $0 |" in views.markdown(it)


@pytest.mark.parametrize(
    ("usd", "words"),
    [(0.0, "$0"), (1.2, "$1.20"), (0.0123, "$0.01"), (0.00423, "$0.0042"), (0.00002, "$0.00002"), (None, "?")],
)
def test_money_is_never_rounded_to_nothing(usd: float | None, words: str) -> None:
    assert dollars(usd) == words


# ── exit codes ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_differences_are_a_problem_only_where_that_was_asked_for(compared: Comparison) -> None:
    assert compared.exit_code(None) is Exit.OK
    assert compared.exit_code("error") is Exit.PROBLEMS
    equal = Comparison((compared.first, compared.first))
    assert equal.exit_code("warn") is Exit.OK


def test_a_warning_is_a_problem_where_warnings_are() -> None:
    mock = trial(sample("a", paid=True))
    real = replace(trial(sample("a", 3, paid=True)), parser="real")
    it = Comparison((result("mock", mock), result("real", real)))
    assert (it.exit_code("error"), it.exit_code("warn")) == (Exit.OK, Exit.PROBLEMS)


def test_a_document_that_is_complete_in_the_first_only_is_told_by_the_exit_code() -> None:
    whole, lost = trial(sample("a")), trial(sample("a", state="failed_parse", code="parse.failed"))
    assert Comparison((result("one", whole), result("two", lost))).exit_code(None) is Exit.SOME_FAILED
    assert Comparison((result("one", lost), result("two", whole))).exit_code(None) is Exit.OK
    assert Comparison((result("one", lost), result("two", lost))).exit_code(None) is Exit.OK


def test_what_stopped_a_variant_is_the_exit_code_and_the_others_keep_their_columns() -> None:
    trouble = DatabaseError("database.unreachable", "cannot reach the database", why="password=hunter22 refused")
    run = trial(sample("a"))
    it = Comparison((result("one", run), result("gone", trouble=trouble), result("three", run)))
    assert it.exit_code(None) is Exit.DATABASE
    assert it.measures()["chunks"] == [2, None, 2]
    assert it.others == {"gone": None, "three": []}
    text = views.markdown(it)
    assert "| chunks | 2 | – | 2 |" in text
    assert "| cost of a run | $0 | – | $0 |" in text
    assert "gone was stopped: cannot reach the database" in text
    assert "gone: not compared" in text
    assert "three: 100 % equal" in text


def test_where_the_first_did_not_run_nothing_is_compared_and_the_others_are_shown() -> None:
    trouble = DatabaseError("database.unreachable", "cannot reach the database")
    it = Comparison((result("gone", trouble=trouble), result("two", trial(sample("a")))))
    assert it.others == {"two": None}
    assert (it.measures()["ratio"], it.measures()["chunks"]) == ([None, None], [None, 2])


# ── reports ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_markdown_is_as_it_was(compared: Comparison) -> None:
    assert views.markdown(compared) == (Path(__file__).parent / "compare.md").read_text("utf-8")


def test_everything_that_is_measured_has_a_title(compared: Comparison) -> None:
    assert set(compared.measures()) == set(views.ROWS)


def test_a_pipe_gets_whole_values_one_record_a_line(compared: Comparison, capsys: pytest.CaptureFixture[str]) -> None:
    views.show_comparison(compared, json=False)
    records = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert records[0] == ["variants", "", "large", "small"]
    assert ["measure", "seconds", "2.0", "3.0"] in records
    assert ["equal", "small", "1", "2"] in records
    assert ["difference", "small", "bees.md", "chunks", "2", "5", "error"] in records
    assert ["question", "how many | mites", "bees.md", "1", "3"] in records


# ── what it may cost ────────────────────────────────────────────────────────────────────────────────────────────────


def variant(
    name: str, *, parser: str = "mock", embedder: str = "mock", model: str = "text-embedding-3-small"
) -> Variant:
    """A variant whose services are of the kinds named."""
    settings = replace(Settings(), embedder=EmbedderSettings(model=model))
    return Variant(name, settings, SCRATCH, parser, embedder)


def test_the_bound_is_above_what_the_fixtures_cost() -> None:
    files = sorted((FIXTURES / "documents").iterdir())
    told = bounds([variant("a"), variant("b", parser="real", embedder="real")], files, ASKED, 1)
    assert told["a"] == 0.0
    # 94 of their pages go to the parser, at 3 credits of 0.00125 USD, and some 40,000 tokens to the embedder.
    assert told["b"] is not None
    assert 94 * 3 * 0.00125 + 40_000 * 0.02 / 1e6 < told["b"] < 1.0


def test_every_run_is_paid_for_and_what_is_read_here_has_no_page(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("words " * 1000)
    (tmp_path / "a.docx").write_bytes(b"x" * 2500)
    files = [tmp_path / "a.md", tmp_path / "a.docx"]
    once, thrice = (bounds([variant("a", parser="real")], files, (), runs)["a"] for runs in (1, 3))
    assert once == pytest.approx(3 * 3 * 0.00125)
    assert thrice == pytest.approx(3 * 3 * 3 * 0.00125)


def test_a_model_or_tier_without_a_price_is_refused_unless_any_price_will_do(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("words")
    odd = variant("b", embedder="real", model="some-model")
    told = bounds([variant("a"), odd], [tmp_path / "a.md"], (), 1)
    assert told == {"a": 0.0, "b": None}
    with pytest.raises(TooDearError, match="nobody knows") as caught:
        refuse_dear(told, 1e6)
    assert caught.value.exit_code is Exit.MONEY
    refuse_dear(told, float("inf"))


def test_the_variants_together_may_cost_what_is_allowed_and_no_more() -> None:
    refuse_dear({"a": 0.5, "b": 0.5}, 1.0)
    for most in (0.99, float("nan")):
        with pytest.raises(TooDearError, match=r"\$1.00"):
            refuse_dear({"a": 0.5, "b": 0.5}, most)


# ── what is asked for ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docproc.toml with the profiles a and b, and no secret in the environment."""
    for name in ("DATABASE_URL", "LLAMA_CLOUD_API_KEY", "OPENAI_API_KEY", "DOCPROC_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "docproc.toml"
    file.write_text('[profile.a]\n[profile.b.parser]\nservice = "mock"\n[profile.paid.embedder]\nservice = "real"\n')
    return file


def test_a_profile_that_is_named_twice_is_two_variants(profiles: Path) -> None:
    chosen = variants(["local", "local", "a"], file=profiles)
    assert [one.name for one in chosen] == ["local", "local (2)", "a"]
    assert [one.where for one in chosen] == [SCRATCH] * 3


def test_one_variant_is_nothing_to_compare(profiles: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to compare"):
        variants(["local"], file=profiles)


def test_two_variants_never_name_one_database(profiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_DATABASE_URL", "postgresql://one:secret@db:5432/rag")
    monkeypatch.setenv("B_DATABASE_URL", "postgresql://two:secret@db:5432/rag")
    with pytest.raises(ConfigError, match="a and b name the same database, db:5432/rag"):
        variants(["a", "local", "b"], file=profiles)
    monkeypatch.setenv("B_DATABASE_URL", "postgresql://two:secret@db:5432/other")
    assert [one.where for one in variants(["a", "b"], file=profiles)] == ["db:5432/rag", "db:5432/other"]


@pytest.mark.parametrize(
    "same", ["postgresql://db/rag", "host=DB port=5432 dbname=rag user=three", "dbname=rag host=db"]
)
def test_a_database_is_the_same_however_it_is_written(
    same: str, profiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_DATABASE_URL", "postgresql://one:secret@db:5432/rag")
    monkeypatch.setenv("B_DATABASE_URL", same)
    with pytest.raises(ConfigError, match="same database"):
        variants(["a", "b"], file=profiles)


def test_what_is_no_address_is_told_without_showing_it(profiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_DATABASE_URL", "hunter22 at db")
    with pytest.raises(ConfigError, match="not a Postgres address") as caught:
        variants(["a", "local"], file=profiles)
    assert "hunter22" not in str(caught.value)


def test_a_plain_database_url_is_of_every_profile_but_local(profiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://one@db:5432/rag")
    assert [one.where for one in variants(["local", "a"], file=profiles)] == [SCRATCH, "db:5432/rag"]
    with pytest.raises(ConfigError, match="same database"):
        variants(["a", "b"], file=profiles)


def test_a_profile_that_pays_needs_its_key_before_anything_begins(
    profiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        variants(["local", "paid"], file=profiles)
    monkeypatch.setenv("PAID_OPENAI_API_KEY", "sk-test")
    assert [one.embedder for one in variants(["local", "paid"], file=profiles)] == ["mock", "real"]


def test_a_chunker_that_does_not_exist_is_told_before_anything_begins(profiles: Path) -> None:
    profiles.write_text('[profile.a.chunker]\nname = "markdown-simpel@1"\n')
    with pytest.raises(ConfigError, match="markdown-simpel"):
        variants(["local", "a"], file=profiles)


def test_questions_name_their_document_by_its_path_or_its_name(tmp_path: Path) -> None:
    samples = [tmp_path / "one" / "ferry.txt", tmp_path / "two" / "bees.md", tmp_path / "two" / "ferry.txt"]
    file = tmp_path / "asked.tsv"
    file.write_text("# words\n\nwho sleeps\ttwo/ferry.txt\nhow many mites\tbees.md\n")
    asked = (Question("who sleeps", "two/ferry.txt"), Question("how many mites", "two/bees.md"))
    assert questions_in(file, samples) == asked


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("", "no questions"),
        ("who sleeps\n", "no question"),
        ("\tbees.md\n", "no question"),
        ("who sleeps\tbee.md\n", "no document bee.md"),
        ("who sleeps\tferry.txt\n", "no document ferry.txt"),
    ],
)
def test_a_question_that_cannot_be_judged_is_refused(lines: str, words: str, tmp_path: Path) -> None:
    samples = [tmp_path / "one" / "ferry.txt", tmp_path / "two" / "bees.md", tmp_path / "two" / "ferry.txt"]
    file = tmp_path / "asked.tsv"
    file.write_text(lines)
    with pytest.raises(ConfigError, match=words):
        questions_in(file, samples)


def test_questions_that_are_not_there_are_an_error_of_the_command(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        questions_in(tmp_path / "none.tsv", [tmp_path / "a.md"])


def test_chunks_that_are_not_shown_are_told_beside_other_chunks() -> None:
    hidden = trial(sample("a", 3, shown=1))
    text = views.markdown(Comparison((result("one", trial(sample("a"))), result("two", hidden))))
    assert "| a | chunks | 2 | 3 | error |" in text
    assert "| a | chunks shown | 2 | 1 | error |" in text
