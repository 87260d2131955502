"""Starts the mock services as processes of their own, as everyone else meets them."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import llama_cloud
import openai
import pytest
from reportlab.pdfgen.canvas import Canvas

ROOT = Path(__file__).parents[3]


@dataclass
class Server:
    """A running ``python -m mocks``."""

    process: subprocess.Popen[str]
    url: str
    key: str = "llx-any"
    clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    def llamaparse(self, key: str | None = None) -> Any:
        def make() -> llama_cloud.LlamaCloud:
            return llama_cloud.LlamaCloud(api_key=key or self.key, base_url=self.url, max_retries=0, timeout=10)

        return self._client("llamaparse", key, make)

    def openai(self, key: str | None = None) -> Any:
        def make() -> openai.OpenAI:
            return openai.OpenAI(api_key=key or self.key, base_url=f"{self.url}/v1", max_retries=0, timeout=10)

        return self._client("openai", key, make)

    def _client(self, service: str, key: str | None, make: Callable[[], Any]) -> Any:
        known = (service, key or self.key)
        if known not in self.clients:
            self.clients[known] = make()
        return self.clients[known]

    @property
    def http(self) -> Any:
        return self._client("http", None, lambda: httpx.Client(base_url=self.url, timeout=10))

    def get(self, path: str) -> Any:
        return self.http.get(path, headers={"Authorization": f"Bearer {self.key}"}).json()

    def order(self, *faults: str, **settings: Any) -> Any:
        answer = self.http.put("/mock/faults", json={"faults": faults, **settings})
        answer.raise_for_status()
        return answer.json()

    def billing(self) -> Any:
        return self.get("/mock/billing")

    def stop(self, sign: int = signal.SIGTERM) -> int:
        for client in self.clients.values():
            client.close()
        self.clients.clear()
        self.process.send_signal(sign)
        try:
            return self.process.wait(timeout=10)
        finally:
            self.process.kill()
            if self.process.stdout:
                self.process.stdout.close()


Start = Callable[..., Server]


def _start(*options: str) -> Server:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "mocks", *options], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    return Server(process, process.stdout.readline().strip())


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers with the given options; they are stopped when the test ends."""
    servers: list[Server] = []

    def starter(*options: str) -> Server:
        servers.append(_start(*options))
        return servers[-1]

    yield starter
    for server in servers:
        if server.process.poll() is None:
            server.stop()


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    """One server without delay for the tests of a module; whoever orders faults orders them anew."""
    server = _start("--processing-delay", "0")
    yield server
    server.stop()


@pytest.fixture
def server(shared: Server) -> Server:
    """The module's server, without faults and without delay."""
    shared.order(processing_delay=0, size_variation=0, seed=0)
    return shared


@pytest.fixture(scope="session")
def pdf() -> bytes:
    """Two pages: one of the harbour ledger, one that says that it is the second page."""
    file = io.BytesIO()
    canvas = Canvas(file)
    for words in ("the harbour ledger of tides", "this is the second page"):
        canvas.drawString(72, 700, words)
        canvas.showPage()
    canvas.save()
    return file.getvalue()
