"""validate judges a parse page by page: what it refuses, what it lets pass, and what it leaves behind for status."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path

import pytest

from docproc.app import App
from docproc.model import Done, Job, Page, ParseResult
from docproc.settings import Settings
from docproc.stages.stored import dump_pages, load_document, load_pages
from docproc.stages.validate import ValidateStage
from docproc.states import Command, State
from docproc.storage import key, pages_uri
from docproc.store import Chosen, ParseCalls
from tests.conftest import MakeApp
from tests.integration.bench import Bench, Row, bring, bring_all, drain, pdf
from tests.support import Mocks

PAGES = tuple(f"Page {n} tells of lanterns and of the keeper who fills them." for n in range(1, 7))

APOLOGY = "I'm sorry, but I can't assist with that request."

OpenApp = Callable[..., App]


@pytest.fixture
def lenient(make_app: MakeApp, settings: Settings) -> OpenApp:
    """Opens an App whose [validate] settings are changed."""
    return lambda **changes: make_app(validate=replace(settings.validate, **changes))


def failed_in_validate(bench: Bench, code: str) -> Row:
    """The one job, after it was seen that validate refused it with ``code``; its progress is returned."""
    row = bench.only()
    assert (row["status"], row["failed_from"], row["last_error"]["code"]) == ("failed_parse", "parsed", code)
    assert row["last_error"]["remedy"]
    progress: Row = row["progress"]
    return progress


def rewrite_pages(app: App, bench: Bench, change: Callable[[Page], Page]) -> None:
    """Changes every page of the one job's stored parse."""
    where = key(pages_uri(bench.only()["parsed_path"]))
    result = load_pages(app.storage.read(where))
    pages = tuple(change(page) for page in result.pages)
    app.storage.write(where, dump_pages(ParseResult(pages, result.parser_version)))


# ── failed pages ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_failed_pages_beyond_the_share_refuse_the_document_and_are_told_one_by_one(
    app: App, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    services.set_faults("llamaparse.failed_pages:pages=2")
    bring(app, tmp_path / "a.pdf", pdf(*PAGES))
    drain(app)
    progress = failed_in_validate(bench, "validate.pages_failed")
    pages = progress["pages"]
    assert (progress["pages_total"], progress["pages_in_file"], progress["pages_failed"]) == (6, 6, 2)
    assert [n for n, count in enumerate(pages["characters"], 1) if count is None] == [int(n) for n in pages["failed"]]
    assert set(pages["failed"].values()) == {"Page processing failed"}
    assert pages["missing"] == []


def test_failed_pages_within_the_share_pass_and_stay_in_the_progress_of_the_complete_job(
    lenient: OpenApp, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    services.set_faults("llamaparse.failed_pages:pages=2")
    app = lenient(max_failed_pages=0.34)
    bring(app, tmp_path / "a.pdf", pdf(*PAGES))
    drain(app)
    row = bench.only()
    assert row["status"] == State.COMPLETE
    assert len(row["progress"]["pages"]["failed"]) == row["progress"]["pages_failed"] == 2
    assert row["progress"]["chunks_total"] > 0


def test_the_reason_of_a_failed_page_is_kept_short_and_without_what_a_database_refuses(
    app: App, bench: Bench, tmp_path: Path
) -> None:
    bring(app, tmp_path / "a.pdf", pdf(*PAGES))
    drain(app, Command.PARSE)
    long = "broken\0 at\n" + "x" * 5000
    rewrite_pages(app, bench, lambda page: replace(page, markdown="", error=long) if page.number == 3 else page)
    drain(app, Command.VALIDATE)
    reasons = failed_in_validate(bench, "validate.pages_failed")["pages"]["failed"]
    assert list(reasons) == ["3"]
    assert reasons["3"].startswith("broken at xxx")
    assert len(reasons["3"]) == 200


# ── pages against the file ──────────────────────────────────────────────────────────────────────────────────────────


def test_pages_that_the_parser_left_out_at_the_end_are_noticed(
    app: App, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    services.set_faults("llamaparse.missing_pages:pages=2")
    bring(app, tmp_path / "a.pdf", pdf(*PAGES))
    drain(app)
    progress = failed_in_validate(bench, "validate.pages_missing")
    assert (progress["pages_total"], progress["pages_in_file"], progress["pages_missing"]) == (4, 6, 2)
    assert progress["pages"]["missing"] == [5, 6]
    assert progress["pages"]["characters"][4:] == [None, None]
    assert None not in progress["pages"]["characters"][:4]


def test_pages_missing_within_the_share_pass(lenient: OpenApp, bench: Bench, services: Mocks, tmp_path: Path) -> None:
    services.set_faults("llamaparse.missing_pages:pages=2")
    app = lenient(max_missing_pages=0.34)
    bring(app, tmp_path / "a.pdf", pdf(*PAGES))
    drain(app)
    assert bench.only()["status"] == State.COMPLETE
    assert bench.only()["progress"]["pages_missing"] == 2


def test_a_gap_in_the_page_numbers_is_noticed_where_the_file_cannot_be_counted(
    app: App, bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("docproc.parsers.counting.find_spec", lambda _: None)
    bring(app, tmp_path / "a.pdf", pdf(*PAGES))
    drain(app, Command.PARSE)
    rewrite_pages(app, bench, lambda page: replace(page, number=page.number + (page.number > 3)))
    drain(app, Command.VALIDATE)
    progress = failed_in_validate(bench, "validate.pages_missing")
    assert (progress["pages_in_file"], progress["pages"]["missing"]) == (None, [4])


def test_extra_pages_pass_with_a_warning_in_the_progress(
    app: App, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    services.set_faults("llamaparse.extra_pages:pages=3")
    bring(app, tmp_path / "a.pdf", pdf(*PAGES))
    drain(app)
    assert bench.only()["status"] == State.COMPLETE
    assert bench.only()["progress"]["pages_extra"] == 3


def test_extra_pages_are_refused_where_the_settings_say_so(
    lenient: OpenApp, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    services.set_faults("llamaparse.extra_pages:pages=3")
    app = lenient(extra_pages="refuse")
    bring(app, tmp_path / "a.pdf", pdf(*PAGES))
    drain(app)
    assert failed_in_validate(bench, "validate.pages_extra")["pages_extra"] == 3


# ── text ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", ["NO_CONTENT_HERE", "undefined", "I am unable to process this image."])
def test_a_parse_of_nothing_but_known_bad_texts_is_empty(
    app: App, bench: Bench, services: Mocks, tmp_path: Path, text: str
) -> None:
    services.set_faults(f"llamaparse.bad_text:text={text}")
    bring(app, tmp_path / "a.pdf", pdf(*PAGES))
    drain(app)
    progress = failed_in_validate(bench, "validate.empty")
    assert (progress["characters"], progress["pages_empty"]) == (0, 6)
    assert progress["pages"]["characters"] == [0] * 6


def test_a_page_of_apology_among_good_ones_is_named_and_neither_stored_nor_chunked(
    app: App, bench: Bench, tmp_path: Path
) -> None:
    bring(app, tmp_path / "a.pdf", pdf(*PAGES))
    drain(app, Command.PARSE)
    rewrite_pages(app, bench, lambda page: replace(page, markdown=APOLOGY) if page.number == 2 else page)
    drain(app)
    row = bench.only()
    assert row["status"] == State.COMPLETE
    assert (row["progress"]["pages"]["bad_text"], row["progress"]["pages_empty"]) == ([2], 1)
    texts = [chunk["text"] for chunk in bench.sql("SELECT text FROM docproc.document_chunk_buffer")]
    stored = app.storage.read(key(row["parsed_path"])).decode()
    assert not any(APOLOGY in text for text in [*texts, stored])
    chunks = bench.sql("SELECT text, char_start, char_end FROM docproc.document_chunk_buffer")
    assert all(stored[chunk["char_start"] : chunk["char_end"]] == chunk["text"] for chunk in chunks)


@pytest.mark.parametrize("text", ["undefined", APOLOGY])
def test_words_that_a_model_would_be_doubted_for_are_content_in_a_text_file(
    app: App, bench: Bench, tmp_path: Path, text: str
) -> None:
    bring(app, tmp_path / "a.txt", text)
    drain(app)
    assert bench.only()["status"] == State.COMPLETE


def test_too_few_characters_a_page_refuse_a_pdf_but_no_text_file(
    lenient: OpenApp, bench: Bench, tmp_path: Path
) -> None:
    app = lenient(min_characters_per_page=500)
    bring_all(app, tmp_path, {"thin.pdf": pdf(*PAGES), "thin.txt": "Few words, and enough of them."})
    drain(app)
    assert bench.states() == {"thin.pdf": "failed_parse", "thin.txt": "complete"}
    error = bench.jobs()["thin.pdf"]["last_error"]
    assert (error["code"], error["why"]) == ("validate.little_text", "47 characters a page, 500 are wanted")


def test_removed_control_characters_are_counted(app: App, bench: Bench, tmp_path: Path) -> None:
    bring(app, tmp_path / "a.txt", "one\0two\x07three\x1b four")
    drain(app)
    progress = bench.only()["progress"]
    assert (progress["characters_removed"], progress["characters"]) == (3, len("onetwothreefour"))


def test_the_progress_holds_no_word_of_the_document(app: App, bench: Bench, tmp_path: Path) -> None:
    bring(app, tmp_path / "a.pdf", pdf(*PAGES))
    drain(app)
    assert "lantern" not in str(bench.only()["progress"])


# ── money ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_refused_document_costs_nothing_further_and_a_retry_with_other_limits_parses_nothing_again(
    app: App, lenient: OpenApp, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    services.set_faults("llamaparse.missing_pages:pages=1")
    before = services.bill()
    bring(app, tmp_path / "a.pdf", pdf(*PAGES))
    drain(app)
    failed_in_validate(bench, "validate.pages_missing")
    refused = services.bill()
    assert refused["embedding_tokens"] == before["embedding_tokens"]
    assert bench.count("document_chunk_buffer") == 0
    assert [call["operation"] for call in bench.sql("SELECT operation FROM docproc.api_calls")] == ["parse"]
    drain(app)
    assert services.bill() == refused

    app.store.queue.retry(Chosen(), parser=app.parser.settings_id, max_submits=3, priced=False)
    drain(lenient(max_missing_pages=0.5))
    assert bench.only()["status"] == State.COMPLETE
    after = services.bill()
    for paid in ("pages_billed", "files_uploaded", "jobs_created"):
        assert after[paid] == refused[paid], paid


# ── equal parses ────────────────────────────────────────────────────────────────────────────────────────────────────


def ask_together(calls: ParseCalls, monkeypatch: pytest.MonkeyPatch, barrier: threading.Barrier) -> None:
    """Lets ``calls`` look for a canonical parse only when all others do, and go on only when all have looked."""
    ask = calls.canonical_parse

    def look(job: Job, parsed_sha: str) -> str | None:
        barrier.wait(20)
        found = ask(job, parsed_sha)
        barrier.wait(20)
        return found

    monkeypatch.setattr(calls, "canonical_parse", look)


def test_equal_parses_validated_at_once_by_two_processes_both_end_with_a_valid_path(
    app: App, make_app: MakeApp, bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bring_all(app, tmp_path, {"one.pdf": pdf(*PAGES), "two.pdf": pdf(*PAGES)})
    drain(app, Command.PARSE)
    apps, barrier = [make_app(), make_app()], threading.Barrier(2)
    for other in apps:
        ask_together(other.store.parse_calls, monkeypatch, barrier)

    def validate(other: App) -> None:
        (job,) = other.store.queue.claim([State.PARSED], 1)
        outcome = ValidateStage(other.store.parse_calls, other.storage, other.settings.validate).outcome(job)
        assert isinstance(outcome, Done)
        assert other.store.queue.settle(job, outcome) is not None

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(validate, apps))
    bring(app, tmp_path / "three.pdf", pdf(*PAGES))
    drain(app)

    jobs = bench.jobs()
    assert {row["status"] for row in jobs.values()} == {"complete"}
    assert len({row["parsed_sha"] for row in jobs.values()}) == 1
    assert jobs["three.pdf"]["parsed_path"] in {jobs["one.pdf"]["parsed_path"], jobs["two.pdf"]["parsed_path"]}
    assert texts_of(app, jobs.values()) == {"\n\n".join(PAGES)}


def texts_of(app: App, rows: Iterable[Row]) -> set[str]:
    """The texts to which the paths of ``rows`` lead."""
    names = [field.name for field in fields(Job)]
    jobs = [Job(**{name: row[name] for name in names} | {"status": State(row["status"])}) for row in rows]
    return {load_document(app.storage, job)[1].text for job in jobs}
