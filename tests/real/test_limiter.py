"""The limiter before the mock services: what would pass a limit is never sent, and nothing is lost by it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from docproc import tokens
from tests.conftest import clone
from tests.e2e.conftest import local
from tests.e2e.documents import pdf, texts
from tests.e2e.tables import Tables
from tests.real.budget import CEILING_CENTS, CREDITS_A_PAGE, TOKEN, Budget, Charge, Limits
from tests.real.conftest import Quiet, behind
from tests.real.limiter import Limiter, limiting
from tests.real.wire import Upstreams
from tests.support import FIXTURES, Docproc, Mocks

KEYS = {"LLAMA_CLOUD_API_KEY": "llx-4c1f90d2", "OPENAI_API_KEY": "sk-93be4a60"}
AMPLE = Limits(parse_calls=1000, tokens=1_000_000, cents=CEILING_CENTS)

Start = Callable[[Limits], Limiter]


@pytest.fixture
def start(services: Mocks) -> Iterator[Start]:
    """Starts a limiter before the mocks."""
    with ExitStack() as stack:
        yield lambda limits: stack.enter_context(limiting(limits, Upstreams(services.address, services.address)))


@pytest.fixture
def desk(conninfo: str, services: Mocks, tmp_path: Path) -> Docproc:
    """docproc over the test's own database, with services still to be named."""
    return local(tmp_path / "desk", conninfo, services.address)


def with_services(desk: Docproc, limiter: Limiter, **variables: str) -> Docproc:
    """``desk`` with real services, as far as it can know, behind ``limiter``."""
    return Docproc(Quiet(behind(limiter.address, desk.environ, keys=KEYS) | variables), desk.folder)


def pdfs(folder: Path, count: int) -> Path:
    """Fills ``folder`` with PDFs of two pages and words of their own; returns it."""
    folder.mkdir()
    for n in range(count):
        words = f"{folder} {n}"
        (folder / f"{n}.pdf").write_bytes(pdf(f"The first page of {words}.", f"The second page of {words}."))
    return folder


def grown(services: Mocks, before: dict[str, Any], what: str) -> int:
    """How far a figure of the mocks' bill has grown."""
    return int(services.bill()[what]) - int(before[what])


def sent(limiter: Limiter, address: str, body: object, **headers: str) -> requests.Response:
    """What the limiter answers to a POST with a key."""
    bearer = {"Authorization": f"Bearer {KEYS['OPENAI_API_KEY']}", **headers}
    return requests.post(limiter.address + address, json=body, headers=bearer, timeout=10)


# ── each limit ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_parse_over_the_limit_of_calls_is_not_ordered_and_a_new_budget_finishes_the_rest(
    desk: Docproc, services: Mocks, start: Start, tmp_path: Path
) -> None:
    before, tables = services.bill(), Tables(desk.environ["DATABASE_URL"])
    limiter = start(Limits(parse_calls=2))
    said = with_services(desk, limiter).run("run-all", str(pdfs(tmp_path / "paid", 3)))
    assert said.returncode == 5, said.stderr
    assert "quota.parser" in said.stderr
    assert "the limit of 2 LlamaParse calls" in said.stderr
    assert grown(services, before, "jobs_created") == 2
    assert limiter.report()["parse_calls"] == 2
    assert len(tables.states()) == 3 and tables.leases() == 0

    said = with_services(desk, start(AMPLE)).run("run-all")
    assert said.returncode == 0, said.stderr
    tables.assert_whole(3)
    assert grown(services, before, "jobs_created") == 3
    assert grown(services, before, "pages_billed") == 6


def test_a_request_over_the_limit_of_tokens_is_not_sent_and_a_new_budget_buys_only_what_is_missing(
    desk: Docproc, services: Mocks, start: Start, tmp_path: Path
) -> None:
    before, tables = services.bill(), Tables(desk.environ["DATABASE_URL"])
    folder = texts(tmp_path / "notes", 8)
    one = 1 + max(tokens.count(file.read_text(encoding="utf-8")) for file in folder.iterdir())
    limiter = start(Limits(tokens=3 * one))
    # One text a request, so that some are sent.
    said = with_services(desk, limiter, DOCPROC_EMBEDDER_MAX_INPUTS="1").run("run-all", str(folder))
    assert said.returncode == 5, said.stderr
    assert "quota.embedder" in said.stderr
    assert 0 < grown(services, before, "embedding_tokens") == limiter.report()["tokens"] <= 3 * one
    assert len(tables.states()) == 8 and tables.leases() == 0

    said = with_services(desk, start(AMPLE)).run("run-all")
    assert said.returncode == 0, said.stderr
    tables.assert_whole(8)
    assert grown(services, before, "embedding_inputs") == 8


def test_a_parse_over_the_limit_of_money_is_not_ordered(
    desk: Docproc, services: Mocks, start: Start, tmp_path: Path
) -> None:
    before = services.bill()
    # Two pages at 45 credits and 0.125 cents: 11.25 cents a document.
    limiter = start(Limits(cents=12))
    desk = with_services(desk, limiter, DOCPROC_PARSER_TIER="agentic_plus")
    assert desk.run("run-all", str(pdfs(tmp_path / "dear", 2))).returncode == 5
    assert grown(services, before, "jobs_created") == 1
    assert grown(services, before, "pages_billed") * 45 * 0.125 <= limiter.report()["cents"] < 12


def test_a_large_document_is_refused_and_the_one_beside_it_completes(
    desk: Docproc, services: Mocks, start: Start, tmp_path: Path
) -> None:
    before, tables = services.bill(), Tables(desk.environ["DATABASE_URL"])
    folder = pdfs(tmp_path / "sizes", 1)
    (folder / "large.pdf").write_bytes(pdf("Large.") + b"%" + b"0" * 100_000 + b"\n")
    limiter = start(Limits())
    said = with_services(desk, limiter).run("run-all", str(folder))
    assert said.returncode == 3, said.stderr
    assert tables.states() == {"0.pdf": "complete", "large.pdf": "failed_parse"}
    assert tables.codes()["large.pdf"] == "parse.rejected"
    assert grown(services, before, "files_uploaded") == 1
    assert limiter.report()["stopped"] == ""


def test_two_processes_at_once_do_not_pass_the_limit_together(
    desk: Docproc, services: Mocks, server: str, migrated: str, start: Start, tmp_path: Path
) -> None:
    before, limiter = services.bill(), start(Limits(parse_calls=3))
    other = local(tmp_path / "other", clone(server, "template_docproc", "other"), services.address)
    folders = (pdfs(tmp_path / "one", 3), pdfs(tmp_path / "two", 3))
    running = [
        with_services(at, limiter).start("run-all", str(folder))
        for at, folder in zip((desk, other), folders, strict=True)
    ]
    said = [process.communicate(timeout=60) for process in running]
    assert 5 in [process.returncode for process in running], said
    assert grown(services, before, "jobs_created") == limiter.report()["parse_calls"] == 3


def test_threads_at_once_reserve_no_more_than_the_limit() -> None:
    budget = Budget(Limits(tokens=1000))
    granted: list[bool] = []

    def buy() -> None:
        granted.extend(budget.reserve(Charge(tokens=7)) for _ in range(100))

    threads = [threading.Thread(target=buy) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sum(granted), budget.report()["tokens"]) == (142, 994)


# ── what counts ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_the_service_refuses_is_not_counted_and_what_it_may_have_charged_is(services: Mocks, start: Start) -> None:
    limiter = start(Limits())
    texts = {"model": "text-embedding-3-small", "input": ["seven gulls", "on a pier"]}
    counted = tokens.count("seven gulls") + tokens.count("on a pier")
    assert sent(limiter, "/v1/embeddings", texts, Authorization="Bearer sk-bad-1").status_code == 401
    assert limiter.report()["tokens"] == 0
    services.set_faults("openai.server_error:times=1")
    assert sent(limiter, "/v1/embeddings", texts).status_code == 500
    assert limiter.report()["tokens"] == counted
    answer = sent(limiter, "/v1/embeddings", texts)
    assert answer.json()["usage"]["total_tokens"] == counted
    assert answer.headers["x-ratelimit-limit-tokens"]
    assert limiter.report()["tokens"] == 2 * counted


def test_after_a_limit_was_met_nothing_more_is_paid_at_either_service(services: Mocks, start: Start) -> None:
    limiter = start(Limits(tokens=3))
    long = {"model": "text-embedding-3-small", "input": "one two three four five"}
    before = services.bill()
    refused = sent(limiter, "/v1/embeddings", long)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")
    assert sent(limiter, "/v1/embeddings", {**long, "input": "one"}).status_code == 429
    assert sent(limiter, "/api/v2/parse", {"file_id": "any", "tier": "fast"}).status_code == 402
    assert services.bill() == before
    assert requests.get(f"{limiter.address}/v1/models", headers={"Authorization": "Bearer x"}, timeout=10).ok


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/files", "/api/v2/parse/upload", "/api/v1/extract", "/mock/x"])
def test_a_request_whose_price_is_not_known_is_not_sent(services: Mocks, start: Start, path: str) -> None:
    limiter, before = start(Limits()), services.log()
    assert sent(limiter, path, {}).status_code == 405
    assert services.log() == before
    assert limiter.report()["requests"] == [{"method": "POST", "path": path, "status": 405, "sent": False}]


def test_the_mocks_price_a_page_as_the_limiter_does_and_know_its_models() -> None:
    from mocks import jobs, openai

    assert jobs.CREDITS_A_PAGE == CREDITS_A_PAGE
    assert set(openai.MODELS) == set(TOKEN)


def test_the_key_is_not_in_what_the_limiter_keeps_or_shows(
    desk: Docproc, start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    limiter = start(Limits())
    at = with_services(desk, limiter)
    said = at.run("run-all", str(FIXTURES / "documents" / "cooling-incident.pdf"))
    assert said.returncode == 0, said.stderr
    shown = requests.get(f"{limiter.address}/limiter", timeout=10).text
    assert "/v1/embeddings" in shown
    everything = shown + repr(limiter) + repr(at) + said.stdout + said.stderr + "".join(capfd.readouterr())
    assert [key for key in KEYS.values() if key in everything] == []


# ── the limits themselves ───────────────────────────────────────────────────────────────────────────────────────────


def test_limits_come_from_the_environment() -> None:
    assert Limits.from_environment({}) == Limits(parse_calls=5, tokens=10_000, cents=100, file_bytes=100_000)
    told = {"DOCPROC_TEST_LLAMAPARSE_CALLS": "1", "DOCPROC_TEST_OPENAI_TOKENS": "20", "DOCPROC_TEST_CENTS": "300"}
    assert Limits.from_environment(told) == Limits(parse_calls=1, tokens=20, cents=300)


@pytest.mark.parametrize("value", ["501", "99999999", "-1", "1e2", "inf", "many", "５00"])
def test_no_override_passes_the_ceiling(value: str) -> None:
    with pytest.raises(ValueError, match="DOCPROC_TEST_CENTS"):
        Limits.from_environment({"DOCPROC_TEST_CENTS": value})
    with pytest.raises(ValueError, match="no session may spend over 500"):
        Limits(cents=CEILING_CENTS + 1)


@pytest.mark.parametrize("address", ["http://api.openai.com", "http://127.0.0.2", "ftp://127.0.0.1", "api.openai.com"])
def test_a_key_is_not_sent_over_a_network_in_the_clear(address: str) -> None:
    with pytest.raises(ValueError, match="neither https nor"):
        Upstreams(openai=address)
