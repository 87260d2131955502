"""The embedder for OpenAI at its edges: what is a bad answer, and what never became a request."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from docproc.embedders.openai import OpenAIEmbedder
from docproc.errors import CredentialsError, TransientError
from docproc.settings import EmbedderSettings
from tests.support import Mocks

MODEL = "text-embedding-3-small"

Make = Callable[..., OpenAIEmbedder]


@pytest.fixture
def make() -> Iterator[Make]:
    """Opens an embedder at an address, and closes it."""
    opened: list[OpenAIEmbedder] = []

    def at(address: str, key: str = "any") -> OpenAIEmbedder:
        opened.append(OpenAIEmbedder(EmbedderSettings(timeout=10.0), base_url=f"{address}/v1", api_key=key))
        return opened[-1]

    yield at
    for embedder in opened:
        embedder.close()


@pytest.fixture
def odd_service() -> Iterator[tuple[str, list[bytes]]]:
    """A service that answers 200 with the last of the bodies that the test gives it."""
    bodies: list[bytes] = []

    class Odd(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(bodies[-1])))
            self.end_headers()
            self.wfile.write(bodies[-1])

        def log_message(self, *_: object) -> None:
            """Says nothing on standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Odd) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", bodies
        server.shutdown()
        thread.join()


def test_an_answer_of_any_other_form_is_a_bad_one(make: Make, odd_service: tuple[str, list[bytes]]) -> None:
    address, bodies = odd_service
    embedder = make(address)
    entry: dict[str, object] = {"index": 0, "embedding": "AAAA", "object": "embedding"}
    odd: list[dict[str, object]] = [{"index": "0"}, {"index": None}, {"embedding": 7}, {"embedding": []}]
    forms: list[object] = [None, 7, "text", [], {"data": None}, {"data": 7}, {"data": "x"}, {"data": [None]}]
    forms += [{"data": [7]}, {"data": [{}]}, {"data": {"index": 0}}, {"data": [[entry]]}]
    forms += [{"data": [entry | one]} for one in odd]
    for form in forms:
        bodies.append(json.dumps(form).encode())
        with pytest.raises(TransientError) as refused:
            embedder.embed(["a text"], model=MODEL, dimensions=2)
        assert refused.value.code == "embed.bad_response", form


def test_what_goes_wrong_before_a_request_is_sent_is_no_bad_answer(make: Make, services: Mocks) -> None:
    requests = len(services.log())
    embedder = make(services.address)
    with pytest.raises(TypeError):
        embedder.embed(["a text", object()], model=MODEL, dimensions=2)  # type: ignore[list-item]
    with pytest.raises(UnicodeEncodeError):
        embedder.embed(["half a pair \ud83d"], model=MODEL, dimensions=2)
    assert len(services.log()) == requests


@pytest.mark.parametrize("key", ["sk-schlüssel", "sk-two\nlines", "sk-“quoted”"])
def test_a_key_that_no_header_can_carry_is_a_refused_key(make: Make, services: Mocks, key: str) -> None:
    requests = len(services.log())
    embedder = make(services.address, key)
    for ask in (lambda: embedder.embed(["a text"], model=MODEL, dimensions=2), lambda: embedder.check(MODEL)):
        with pytest.raises(CredentialsError) as refused:
            ask()
        assert refused.value.code == "credentials.embedder" and key not in str(refused.value)
    assert len(services.log()) == requests
