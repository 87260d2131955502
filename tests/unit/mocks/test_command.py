"""``python -m mocks`` as whoever starts it meets it: address, ready file, configuration, faults, signals."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from mocks.faults import FAULTS

ROOT = Path(__file__).parents[3]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mocks", *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=30, check=False)


def test_the_health_names_service_and_version(server: Any) -> None:
    health = server.get("/health")
    assert (health["service"], health["status"]) == ("docproc-mocks", "ok")
    assert health["version"]


def test_the_ready_file_holds_the_port_that_was_taken(start: Any, tmp_path: Path) -> None:
    ready = tmp_path / "new folder" / "ready"
    server = start("--port", "0", "--ready-file", str(ready))
    assert server.url == f"http://127.0.0.1:{int(ready.read_text())}"
    assert list(ready.parent.iterdir()) == [ready]


def test_the_configuration_file_and_the_options_add_up(start: Any, tmp_path: Path) -> None:
    config = tmp_path / "docproc.toml"
    config.write_text(
        '[mocks]\nprocessing_delay = 9\nseed = 3\nfaults = ["openai.slow:times=1"]\n[parser]\ntier = "fast"\n'
    )
    server = start("--config", str(config), "--seed", "4", "--fault", "llamaparse.failed:rate=0.5")
    faults = server.get("/mock/faults")
    assert (faults["processing_delay"], faults["seed"]) == (9, 4)
    assert [row["fault"] for row in faults["faults"]] == ["openai.slow:times=1", "llamaparse.failed:rate=0.5"]


def test_the_catalogue_is_printed_with_a_line_for_each_fault() -> None:
    result = run("--list-faults")
    assert result.returncode == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(FAULTS)


def test_wrong_options_end_with_exit_code_2_and_say_why() -> None:
    result = run("--fault", "openai.nothing")
    assert result.returncode == 2
    assert "openai.nothing" in result.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert run("--port", str(taken.getsockname()[1])).returncode == 2


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_at_once_even_inside_a_slow_answer(start: Any, sign: int) -> None:
    server = start("--fault", "openai.slow:seconds=60")

    def ask() -> None:
        body = {"model": "text-embedding-3-small", "input": "words"}
        with suppress(httpx.TransportError):
            httpx.post(f"{server.url}/v1/embeddings", json=body, headers={"Authorization": "Bearer k"}, timeout=60)

    asking = threading.Thread(target=ask)
    asking.start()
    deadline = time.monotonic() + 10
    while not server.billing()["embedding_requests"] and time.monotonic() < deadline:
        time.sleep(0.02)
    started = time.monotonic()
    assert server.stop(sign) == 0
    assert time.monotonic() - started < 2
    asking.join(10)
    assert not asking.is_alive()


def test_it_starts_lean_and_says_nothing_but_its_address(start: Any, tmp_path: Path) -> None:
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "mocks"], stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT
        )
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        modules = httpx.get(f"{url}/health")
        assert modules.status_code == 200
        process.terminate()
        assert process.wait(10) == 0
        assert process.stdout.read() == ""
        process.stdout.close()
    assert (tmp_path / "errors").read_text() == ""


def test_a_path_that_does_not_exist_is_not_found(server: Any) -> None:
    answer = httpx.get(f"{server.url}/api/v9")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
