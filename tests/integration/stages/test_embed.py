"""The embed stage against the mock service: nothing is bought twice, one bad text fails one document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from docproc.app import App
from docproc.errors import ConfigError, CredentialsError, Exit, ProgramError, QuotaError
from docproc.settings import Settings
from docproc.states import Command, State
from mocks import vectors
from tests.conftest import MakeApp
from tests.integration.bench import Bench, Row, bring_all, drain
from tests.support import Mocks

EMBED = [
    ("chunks_stored", "embedding_queued"),
    ("embedding_queued", "embedding_in_progress"),
    ("embedding_in_progress", "embeddings_stored"),
    ("embeddings_stored", "complete"),
]


def chunked(app: App, folder: Path, files: Mapping[str, str]) -> None:
    """Brings files in and takes them to the door of embed."""
    bring_all(app, folder, files)
    drain(app, Command.PARSE, Command.VALIDATE, Command.CHUNK)


def notes(count: int, word: str = "Note") -> dict[str, str]:
    """Documents of one chunk each."""
    return {f"{n}.md": f"# {word} {n}\n\nThe words of {word.lower()} number {n}.\n" for n in range(count)}


def inputs(services: Mocks) -> int:
    """The texts that were bought so far."""
    return int(services.bill()["embedding_inputs"])


def events_of_embed(bench: Bench, job: Row) -> list[tuple[str | None, str]]:
    steps = bench.steps(job["job_id"])
    return steps[steps.index(("parse_validated", "chunks_stored")) + 1 :]


def assert_right_vectors(bench: Bench, settings: Settings, *, count: int) -> None:
    """Every chunk has the vector of its own text, whatever order and company it was bought in."""
    rows = bench.sql(
        "SELECT c.embed_prefix || c.text AS text, v.vector::text AS vector FROM docproc.document_chunk_buffer c"
        " JOIN docproc.document_vector_buffer v USING (chunk_id)"
    )
    wanted = vectors.embed([row["text"] for row in rows], settings.embedder.dimensions, settings.embedder.model)
    found = np.array([[float(number) for number in row["vector"][1:-1].split(",")] for row in rows])
    assert len(rows) == count
    assert np.allclose(found, wanted, atol=1e-6)


# ── the usual way ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_many_small_documents_share_one_request(
    app: App, settings: Settings, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    chunked(app, tmp_path, notes(10))
    before = services.bill()
    drain(app, Command.EMBED)
    after = services.bill()
    assert set(bench.states().values()) == {"complete"}
    assert after["embedding_requests"] - before["embedding_requests"] == 1
    assert after["embedding_inputs"] - before["embedding_inputs"] == 10
    assert_right_vectors(bench, settings, count=10)
    for job in bench.jobs().values():
        assert events_of_embed(bench, job) == EMBED
        assert (job["progress"]["embeds_done"], job["progress"]["embeds_total"]) == (1, 1)
    (call,) = bench.sql("SELECT * FROM docproc.api_calls")
    assert (call["outcome"], call["inputs"], len(call["job_ids"])) == ("ok", 10, 10)
    assert call["units_reported"] == call["units_estimated"] == after["embedding_tokens"] - before["embedding_tokens"]


def test_a_second_run_over_complete_documents_asks_nobody(
    app: App, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    chunked(app, tmp_path, notes(2))
    drain(app)
    requests, events = len(services.log()), bench.count("job_events")
    drain(app)
    assert (len(services.log()), bench.count("job_events")) == (requests, events)


def test_what_one_request_brought_is_kept_when_the_next_fails(
    make_app: MakeApp, settings: Settings, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    app = make_app(embedder=replace(settings.embedder, max_inputs=2))
    chunked(app, tmp_path, notes(5))
    before = inputs(services)
    services.set_faults("openai.server_error:after=1,times=1")
    drain(app, Command.EMBED)
    assert set(bench.states().values()) == {"complete"}
    assert inputs(services) - before == 5
    assert_right_vectors(bench, settings, count=5)
    outcomes = bench.sql("SELECT outcome, code FROM docproc.api_calls ORDER BY started_at")
    assert Counter(row["code"] for row in outcomes)["embed.unavailable"] == 1
    assert {(row["outcome"], row["code"]) for row in outcomes} == {("uncertain", "embed.unavailable"), ("ok", None)}


# ── bought once ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_text_that_is_owned_is_not_bought_again(app: App, bench: Bench, services: Mocks, tmp_path: Path) -> None:
    chunked(app, tmp_path, {"a.md": "# Tide\n\nHigh at noon.\n"})
    drain(app)
    before = len(services.log())
    chunked(app, tmp_path, {"b.md": "# Tide\r\n\r\nHigh at noon.\r\n"})
    drain(app)
    jobs = bench.jobs()
    assert jobs["b.md"]["status"] == State.COMPLETE
    assert jobs["a.md"]["document_id"] != jobs["b.md"]["document_id"]
    assert len(services.log()) == before
    assert jobs["b.md"]["progress"]["embeds_done"] == jobs["b.md"]["progress"]["embeds_total"] == 1


def test_equal_texts_that_come_together_are_bought_once(
    app: App, settings: Settings, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    chunked(app, tmp_path, {"a.md": "# Tide\n\nHigh at noon.\n", "b.md": "# Tide\r\n\r\nHigh at noon.\r\n", **notes(2)})
    before = inputs(services)
    drain(app, Command.EMBED)
    assert set(bench.states().values()) == {"complete"}
    assert inputs(services) - before == 3
    assert_right_vectors(bench, settings, count=4)


def test_equal_texts_of_which_the_first_is_refused_fail_each_by_itself(
    app: App, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    services.set_faults("openai.bad_input:match=POISON")
    chunked(app, tmp_path, {"a.md": "# POISON\n\nHigh.\n", "b.md": "# POISON\r\n\r\nHigh.\r\n", **notes(2)})
    drain(app, Command.EMBED)
    assert bench.states() == {
        "a.md": "failed_embedding",
        "b.md": "failed_embedding",
        "0.md": "complete",
        "1.md": "complete",
    }


def test_a_second_user_pays_for_the_same_text(
    app: App, make_app: MakeApp, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    chunked(app, tmp_path, {"a.md": "# Tide\n\nHigh at noon.\n"})
    drain(app)
    before = inputs(services)
    chunked(make_app(user="someone"), tmp_path, {"a.md": "# Tide\n\nHigh at noon.\n"})
    drain(app)
    assert inputs(services) - before == 1
    assert bench.sql("SELECT count(*) AS n FROM docproc.upload_jobs WHERE status = 'complete'")[0]["n"] == 2


def test_other_dimensions_are_bought_beside_the_first(
    app: App, make_app: MakeApp, settings: Settings, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    chunked(app, tmp_path, notes(1))
    drain(app)
    before = inputs(services)
    chunked(make_app(embedder=replace(settings.embedder, dimensions=8)), tmp_path, notes(1))
    drain(app)
    assert inputs(services) - before == 1
    rows = bench.sql("SELECT vector_dims(vector) AS n FROM docproc.document_vector_buffer ORDER BY 1")
    assert [row["n"] for row in rows] == [8, 16]


def test_a_vector_that_did_not_get_stored_is_not_bought_without_end(
    make_app: MakeApp, settings: Settings, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    app = make_app(runner=replace(settings.runner, backoff_base=60.0, backoff_cap=60.0))
    chunked(app, tmp_path, notes(2))
    before = inputs(services)
    bench.sql(
        "CREATE FUNCTION docproc.lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
        " CREATE TRIGGER lose BEFORE INSERT ON docproc.document_vector_buffer"
        " FOR EACH ROW EXECUTE FUNCTION docproc.lose()"
    )
    try:
        drain(app, Command.EMBED, stay=False)
    finally:
        bench.sql("DROP TRIGGER lose ON docproc.document_vector_buffer; DROP FUNCTION docproc.lose()")
    assert {job["last_error"]["code"] for job in bench.jobs().values()} == {"embed.incomplete"}
    assert inputs(services) - before == 2
    bench.make_due()
    drain(app, Command.EMBED)
    assert set(bench.states().values()) == {"complete"}
    assert inputs(services) - before == 4


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_refused_text_fails_one_document_and_the_others_are_bought_once(
    app: App, settings: Settings, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    services.set_faults("openai.bad_input:match=POISON")
    chunked(app, tmp_path, notes(9) | {"bad.md": "# POISON\n\nNobody takes this.\n"})
    before = inputs(services)
    drain(app, Command.EMBED)
    states = bench.states()
    assert states.pop("bad.md") == "failed_embedding"
    assert set(states.values()) == {"complete"} and len(states) == 9
    assert bench.jobs()["bad.md"]["last_error"]["code"] == "embed.rejected"
    assert inputs(services) - before == 9
    assert_right_vectors(bench, settings, count=9)


def test_a_rate_limit_costs_no_attempt(app: App, bench: Bench, services: Mocks, tmp_path: Path) -> None:
    chunked(app, tmp_path, notes(2))
    before = inputs(services)
    services.set_faults("openai.rate_limit:times=3,retry_after=0.1")
    drain(app, Command.EMBED)
    for job in bench.jobs().values():
        assert events_of_embed(bench, job) == EMBED
    assert inputs(services) - before == 2


@pytest.mark.parametrize(
    ("fault", "error", "exit_code"),
    [
        ("insufficient_quota", QuotaError, Exit.MONEY),
        ("unauthorized", CredentialsError, Exit.CREDENTIALS),
        ("model_not_found", ConfigError, Exit.USAGE),
    ],
)
def test_a_refused_account_stops_the_run_and_leaves_the_documents_due(
    app: App, bench: Bench, services: Mocks, tmp_path: Path, fault: str, error: type[ProgramError], exit_code: Exit
) -> None:
    chunked(app, tmp_path, notes(3))
    requests = len(services.log())
    services.set_faults(f"openai.{fault}")
    with pytest.raises(error) as caught:
        drain(app, Command.EMBED)
    assert caught.value.exit_code == exit_code and caught.value.remedy
    assert len(services.log()) == requests + 1
    for job in bench.jobs().values():
        assert (job["claimed_by"], job["attempt"], job["last_error"]) == (None, 0, None)
    assert app.store.queue.backlog([State.EMBEDDING_IN_PROGRESS]).due == 3
    services.set_faults()
    drain(app, Command.EMBED)
    assert set(bench.states().values()) == {"complete"}


@pytest.mark.parametrize(
    "fault",
    [
        *("too_few", "too_many", "repeated_index", "wrong_dimensions", "nan", "inf", "zero", "null", "truncated"),
        *("reset", "html_answer", "empty_answer", "server_error", "unavailable"),
    ],
)
def test_a_bad_answer_is_refused_and_the_next_one_taken(
    app: App, settings: Settings, bench: Bench, services: Mocks, tmp_path: Path, fault: str
) -> None:
    chunked(app, tmp_path, notes(2))
    services.set_faults(f"openai.{fault}:times=1")
    drain(app, Command.EMBED)
    away = fault in ("reset", "server_error", "unavailable")
    for job in bench.jobs().values():
        codes = [event["code"] for event in bench.events(job["job_id"]) if event["code"]]
        assert (job["status"], codes) == ("complete", ["embed.unavailable" if away else "embed.bad_response"])
    assert_right_vectors(bench, settings, count=2)


def test_bad_answers_without_end_fail_the_documents_and_write_nothing(
    app: App, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    chunked(app, tmp_path, notes(2))
    services.set_faults("openai.zero")
    drain(app, Command.EMBED)
    for job in bench.jobs().values():
        assert (job["status"], job["failed_from"]) == ("failed_embedding", "embedding_in_progress")
        assert job["last_error"]["code"] == "embed.bad_response" and job["last_error"]["remedy"]
    assert bench.count("document_vector_buffer") == 0


def test_vectors_in_another_order_are_given_to_their_own_texts(
    app: App, settings: Settings, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    chunked(app, tmp_path, notes(4))
    services.set_faults("openai.wrong_order")
    drain(app, Command.EMBED)
    assert_right_vectors(bench, settings, count=4)
    assert all(events_of_embed(bench, job) == EMBED for job in bench.jobs().values())
