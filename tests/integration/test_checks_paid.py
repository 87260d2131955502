"""The checks that are paid for: bought once, bounded in time, and each sabotage turns its own check red alone."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest

from docproc import checks, tokens
from docproc.checks import Result, Thresholds, asking
from docproc.checks.embedder import WORD
from docproc.checks.parser import SENTENCE
from docproc.parsers.extraction import extract
from docproc.settings import Secret
from tests.conftest import TABLES
from tests.integration.bench import Bench
from tests.integration.sabotage import Site
from tests.support import ROOT, Mocks

SAMPLES = ROOT / "docproc" / "samples"


def asked(site: Site, *, paid: bool = True, offline: bool = False) -> dict[str, Result]:
    with site.opened() as app:
        deployment = checks.Deployment(app, offline=offline, clock=site.clock, thresholds=site.thresholds)
        found = asking.run(deployment, checks.every(paid=paid))
    return {result.check.id: result for result in found}


def red(found: dict[str, Result]) -> dict[str, str]:
    return {id_: result.finding.seen for id_, result in found.items() if result.level in ("warn", "error")}


def bought(services: Mocks) -> dict[str, int]:
    """Requests that are paid for, so far."""
    requests = services.bill()["requests"]
    return {operation: int(requests.get(operation, 0)) for operation in ("submit", "embeddings")}


def test_without_the_flag_nothing_is_bought(site: Site, services: Mocks) -> None:
    before = bought(services)
    found = asked(site, paid=False)
    assert not [id_ for id_ in found if id_.endswith(".paid")]
    assert bought(services) == before


def test_with_the_flag_one_page_and_one_token_are_bought_and_their_price_is_told(site: Site, services: Mocks) -> None:
    for _ in range(2):  # a page that was parsed before is parsed and paid again: nothing comes from the cache
        before, bill = bought(services), services.bill()
        found = asked(site)
        assert red(found) == {}
        assert bought(services) == {operation: count + 1 for operation, count in before.items()}
        assert services.bill()["pages_billed"] == bill["pages_billed"] + 1
        assert "1 page, 3 credits, job pjb-" in found["parser.paid"].finding.seen
        assert "1536 dimensions" in found["embedder.paid"].finding.seen
        assert "1 token" in found["embedder.paid"].finding.seen


def test_the_database_and_the_storage_see_nothing_of_it(site: Site, bench: Bench) -> None:
    site.change("secrets", database_url=Secret(bench.database.conninfo))
    before = {table: bench.sql(f"SELECT xmin::text, * FROM docproc.{table}") for table in TABLES}
    assert asked(site)["parser.paid"].level == "ok"
    assert {table: bench.sql(f"SELECT xmin::text, * FROM docproc.{table}") for table in TABLES} == before
    assert not (site.settings.home / "storage").exists()


def test_offline_buys_nothing(site: Site, services: Mocks) -> None:
    before = bought(services)
    found = asked(site, offline=True)
    assert (found["parser.paid"].level, found["embedder.paid"].level) == ("skip", "skip")
    assert bought(services) == before


def test_a_key_that_is_refused_buys_nothing(site: Site, services: Mocks) -> None:
    before = bought(services)
    services.set_faults("llamaparse.unauthorized:on=versions", "openai.unauthorized:on=models")
    found = asked(site)
    assert set(red(found)) == {"parser.key", "embedder.key"}
    assert (found["parser.paid"].level, found["embedder.paid"].level) == ("skip", "skip")
    assert bought(services) == before


@pytest.mark.parametrize(
    ("fault", "id_", "word"),
    [
        ("openai.wrong_dimensions", "embedder.paid", "dimensions"),
        ("openai.nan", "embedder.paid", "NaN"),
        ("openai.zero", "embedder.paid", "zero"),
        ("openai.unauthorized:on=embeddings", "embedder.paid", "refused the key"),
        ("openai.insufficient_quota", "embedder.paid", "used up"),
        ("openai.server_error", "embedder.paid", "500"),
        ("openai.reset", "embedder.paid", "does not answer"),
        ("llamaparse.unauthorized:on=submit", "parser.paid", "refused the key"),
        ("llamaparse.payment_required", "parser.paid", "used up"),
        ("llamaparse.error_after_accept", "parser.paid", "client_ref validate-deploy-"),
        ("llamaparse.failed:message=no luck", "parser.paid", "no luck"),
        ("llamaparse.bad_text", "parser.paid", "came back as"),
        ("llamaparse.missing_pages", "parser.paid", "0 pages"),
        ("llamaparse.expired", "parser.paid", "job pjb-"),
        ("llamaparse.fetch_error", "parser.paid", "job pjb-"),
    ],
)
def test_a_sabotage_turns_its_own_check_red_and_buys_once(
    site: Site, services: Mocks, fault: str, id_: str, word: str
) -> None:
    before = bought(services)
    services.set_faults(fault)
    found = asked(site)
    assert set(red(found)) == {id_}, red(found)
    assert word in red(found)[id_]
    assert found[id_].remedy
    assert all(count <= before[operation] + 1 for operation, count in bought(services).items())


@pytest.mark.parametrize("fault", ["llamaparse.poll_error:times=2", "llamaparse.not_found_yet:seconds=0.3"])
def test_a_look_that_fails_is_followed_by_the_next(site: Site, services: Mocks, fault: str) -> None:
    services.set_faults(fault)
    assert red(asked(site)) == {}


def test_a_job_that_hangs_is_told_with_its_id_and_cancelled(site: Site, services: Mocks) -> None:
    site.thresholds = Thresholds(paid_parse=1.0)
    services.set_faults("llamaparse.stuck")
    started, cancels = time.monotonic(), services.bill()["requests"].get("cancel", 0)
    found = asked(site)
    assert time.monotonic() - started < 15
    assert set(red(found)) == {"parser.paid"}
    assert "job pjb-" in red(found)["parser.paid"] and "cancelled" in red(found)["parser.paid"]
    assert services.bill()["requests"]["cancel"] == cancels + 1


@pytest.fixture
def unit() -> Iterator[Callable[[float], str]]:
    """A service whose vectors have the length that the test wants; gives its address."""
    lengths: list[float] = []

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            vector = np.full(asked["dimensions"], lengths[-1] / asked["dimensions"] ** 0.5, dtype="<f4")
            data = [{"index": 0, "object": "embedding", "embedding": base64.b64encode(vector.tobytes()).decode()}]
            self._answer({"object": "list", "data": data, "model": asked["model"], "usage": {"total_tokens": 1}})

        def do_GET(self) -> None:
            self._answer({"id": "m", "object": "model", "created": 1, "owned_by": "nobody"})

        def _answer(self, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing on standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def address(length: float) -> str:
            lengths.append(length)
            return f"http://127.0.0.1:{server.server_port}/v1"

        yield address
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("length", "level"), [(1.0, "ok"), (0.5, "error"), (1.1, "error")])
def test_a_vector_of_another_length_than_1_is_not_well(
    site: Site, unit: Callable[[float], str], length: float, level: str
) -> None:
    site.change("embedder", service="real")
    site.change("secrets", openai_api_key=Secret("any"), openai_base_url=Secret(unit(length)))
    found = asked(site)
    assert set(red(found)) == ({"embedder.paid"} if level == "error" else set())
    assert found["embedder.paid"].level == level
    assert ("paid for" if level == "ok" else f"{length:.3f}") in found["embedder.paid"].finding.seen


def test_the_page_and_its_text_say_the_same_in_one_small_page() -> None:
    page = (SAMPLES / "canary.pdf").read_bytes()
    assert len(page) < 2048
    (read,) = extract(page, ".pdf")
    text = (SAMPLES / "canary.md").read_text("utf-8")
    assert " ".join(text.replace("#", "").split()) == " ".join(read.markdown.replace("#", "").split())
    assert SENTENCE in " ".join(text.split()) and "docproc canary" in text


def test_what_is_embedded_is_one_token() -> None:
    assert tokens.count(WORD) == 1
