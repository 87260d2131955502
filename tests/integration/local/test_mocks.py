"""The mock services as several processes share them; the server is a stand-in with the same command line."""

from __future__ import annotations

import http.server
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

from docproc.errors import ConfigError
from docproc.local import mocks
from docproc.local.mocks import MockOptions

if TYPE_CHECKING:
    from tests.integration.local.conftest import Home

HERE = Path(__file__).parent
REAL_MODULE = mocks._module
QUICK = MockOptions(processing_delay=0.0)


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mocks, "_module", lambda: ("stand_in", HERE))


def health(address: str) -> dict[str, Any]:
    with urlopen(f"{address}/health", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def test_mocks_answer_at_their_address_until_the_last_user_leaves(empty_home: Home) -> None:
    first = mocks.start(empty_home.path, options=QUICK)
    second = mocks.start(empty_home.path, options=QUICK)
    assert first.address == second.address
    assert health(first.address)["service"] == "docproc-mocks"
    assert not first.options_differ
    server = empty_home.server("mocks")
    first.close()
    assert server.is_alive()
    second.close()
    assert not server.is_alive()


def test_the_options_reach_the_server(empty_home: Home) -> None:
    options = MockOptions(processing_delay=1.5, faults=("openai.rate_limit:rate=0.1", "x"), seed=7)
    with mocks.start(empty_home.path, options=options) as handle:
        words = " ".join(health(handle.address)["arguments"])
    assert "--processing-delay=1.5 --size-variation=0.0 --fault=openai.rate_limit:rate=0.1 --fault=x --seed=7" in words
    assert f"--state {empty_home.path}/mocks/state.db" in words


def test_no_key_reaches_the_server(empty_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "LLAMA_CLOUD_API_KEY", "DATABASE_URL"):
        monkeypatch.setenv(name, "canary")
    with mocks.start(empty_home.path, options=QUICK):
        environment = Path(f"/proc/{empty_home.server('mocks').pid}/environ").read_bytes()
    assert b"PATH=" in environment
    assert b"canary" not in environment


def test_other_options_restart_mocks_that_nobody_else_uses(empty_home: Home) -> None:
    empty_home.client("mocks:9", STAND_IN="yes").kill()
    before = empty_home.server("mocks")
    with mocks.start(empty_home.path, options=QUICK) as handle:
        assert not before.is_alive()
        assert not handle.options_differ
        assert "--processing-delay=0.0" in " ".join(health(handle.address)["arguments"])


def test_other_options_are_refused_while_others_use_the_mocks(empty_home: Home) -> None:
    other = empty_home.client("mocks:9", STAND_IN="yes")
    with mocks.start(empty_home.path, options=QUICK) as handle:
        assert handle.options_differ
        assert other.ask("address") == f"('{handle.address}', False)"
        with mocks.start(empty_home.path, options=MockOptions(processing_delay=9)) as same:
            assert not same.options_differ


def test_a_killed_server_comes_back_at_the_same_address(empty_home: Home) -> None:
    with mocks.start(empty_home.path, options=QUICK) as handle:
        address = handle.address
        empty_home.kill_server("mocks")
        handle.ensure()
        assert handle.address == address
        assert health(address)["service"] == "docproc-mocks"


def test_a_server_that_hangs_is_replaced(empty_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mocks, "HEALTH_SECONDS", 0.3)
    monkeypatch.setattr(mocks, "STOP_SECONDS", 0.3)
    with mocks.start(empty_home.path, options=QUICK) as handle:
        hanging = empty_home.server("mocks")
        hanging.send(signal.SIGSTOP)
        handle.ensure()
        assert not hanging.is_alive()
        assert health(handle.address)["service"] == "docproc-mocks"


def test_another_port_is_taken_when_the_old_one_is_in_other_hands(empty_home: Home) -> None:
    with mocks.start(empty_home.path, options=QUICK) as handle:
        empty_home.kill_server("mocks")
        port = int(handle.address.rpartition(":")[2])
        with http.server.HTTPServer(("127.0.0.1", port), http.server.SimpleHTTPRequestHandler):
            handle.ensure()
            assert handle.address != f"http://127.0.0.1:{port}"
            assert health(handle.address)["service"] == "docproc-mocks"


def test_mocks_of_a_killed_client_are_used_and_stopped_by_the_next(empty_home: Home) -> None:
    empty_home.client("mocks:0", STAND_IN="yes").kill()
    server = empty_home.server("mocks")
    with mocks.start(empty_home.path, options=QUICK):
        assert empty_home.server("mocks") == server
    assert not server.is_alive()


def test_a_server_that_dies_at_once_is_told_with_its_last_words_and_log(empty_home: Home) -> None:
    with pytest.raises(ConfigError, match="no such luck") as caught:
        mocks.start(empty_home.path, options=MockOptions(faults=("die",)))
    assert caught.value.code == "config.mocks_start"
    assert str(empty_home.path / "mocks" / "log") in str(caught.value)


def test_a_server_that_is_not_the_mocks_is_refused(empty_home: Home) -> None:
    with pytest.raises(ConfigError):
        mocks.start(empty_home.path, options=MockOptions(faults=("stranger",)))
    assert empty_home.running("mocks") is None


def test_four_processes_start_and_stop_at_once(empty_home: Home) -> None:
    clients = [empty_home.client("mocks:0", wait=False, STAND_IN="yes") for _ in range(4)]
    assert {client.answer() for client in clients} == {"ready"}
    assert len({client.ask("address") for client in clients}) == 1
    server = empty_home.server("mocks")
    for client in clients:
        client.tell("close")
    assert {client.answer() for client in clients} == {"done"}
    assert not server.is_alive()


def test_the_real_mocks_start_and_stop(empty_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mocks, "_module", REAL_MODULE)
    with mocks.start(empty_home.path, options=MockOptions(processing_delay=0.0, seed=1)) as handle:
        assert health(handle.address)["status"] == "ok"
        server = empty_home.server("mocks")
    assert not server.is_alive()


def test_a_wrong_fault_is_told_in_the_words_of_the_mocks(empty_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mocks, "_module", REAL_MODULE)
    with pytest.raises(ConfigError, match=r"no\.such_fault"):
        mocks.start(empty_home.path, options=MockOptions(faults=("no.such_fault",)))
