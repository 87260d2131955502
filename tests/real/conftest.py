"""Sessions that may pay: which services are asked for, one limiter for all of a session's processes, and its stop."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from tests.real.budget import Limits
from tests.real.limiter import Limiter, limiting
from tests.real.wire import LLAMAPARSE, OPENAI, Upstreams

MODE = "DOCPROC_TEST_SERVICES"
"""``real`` or ``hybrid``; without it no test of real services runs."""

ADDRESS = "DOCPROC_TEST_LIMITER"
"""Where the session's limiter listens: set by the process that starts it, for those that it starts."""

KEYS = {"real": ("LLAMA_CLOUD_API_KEY", "OPENAI_API_KEY"), "hybrid": ("OPENAI_API_KEY",)}

_LIMITER = pytest.StashKey[Limiter]()
_OPEN = pytest.StashKey[ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    """Starts the limiter where a mode is asked for; raises UsageError where it lacks a key or a limit is not right."""
    config.addinivalue_line(
        "markers", "real: asks real services, and pays them; for nox -s tests_real and tests_hybrid"
    )
    mode = os.environ.get(MODE)
    if not mode or ADDRESS in os.environ:
        return
    if mode not in KEYS:
        raise pytest.UsageError(f"{MODE} is {mode!r}, and may be {' or '.join(KEYS)}")
    if missing := [name for name in KEYS[mode] if not os.environ.get(name)]:
        raise pytest.UsageError(f"set {' and '.join(missing)}: tests with {mode} services need the key")
    try:
        limits = Limits.from_environment(os.environ)
        upstreams = Upstreams(
            os.environ.get("DOCPROC_TEST_UPSTREAM_LLAMAPARSE") or LLAMAPARSE,
            os.environ.get("DOCPROC_TEST_UPSTREAM_OPENAI") or OPENAI,
        )
    except ValueError as wrong:
        raise pytest.UsageError(str(wrong)) from None
    stack = config.stash[_OPEN] = ExitStack()
    limiter = config.stash[_LIMITER] = stack.enter_context(limiting(limits, upstreams))
    os.environ[ADDRESS] = limiter.address
    stack.callback(os.environ.pop, ADDRESS)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the limiter, in the process that started it."""
    if stack := config.stash.get(_OPEN, None):
        stack.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what pays, unless it is asked for."""
    if not os.environ.get(MODE):
        for test in items:
            if test.get_closest_marker("real"):
                test.add_marker(pytest.mark.skip("asks real services, and pays them: nox -s tests_real, tests_hybrid"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Ends the session after the test in which a limit was met."""
    yield
    _stop_when_spent(item.session)


@pytest.hookimpl(tryfirst=True, specname="pytest_runtest_protocol")
def begin_no_test_when_spent(item: pytest.Item) -> bool | None:
    """Begins no test once a limit was met, whichever process met it."""
    return _stop_when_spent(item.session) or None


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Says what the session has spent."""
    if limiter := config.stash.get(_LIMITER, None):
        terminalreporter.write_line(limiter.budget.line())


def _stop_when_spent(session: pytest.Session) -> bool:
    """Ends this process's part of the session, and by that the others', where a limit was met."""
    address = os.environ.get(ADDRESS)
    stopped = ask(f"{address}/limiter")["stopped"] if address else ""
    if stopped:
        session.shouldstop = f"the session has met {stopped}"
    return bool(stopped)


def ask(address: str) -> dict[str, Any]:
    """The JSON object at a loopback address."""
    with urllib.request.urlopen(address, timeout=10) as answer:
        return dict(json.loads(answer.read()))


class Quiet(dict[str, str]):
    """An environment that pytest does not print when a test fails: keys stand in it."""

    def __repr__(self) -> str:
        return f"<{len(self)} variables>"


def behind(address: str, environ: Mapping[str, str], *, keys: Mapping[str, str]) -> Quiet:
    """``environ`` with both services real, at the limiter's ``address``, reached with ``keys``."""
    services = {
        "DOCPROC_PARSER_SERVICE": "real",
        "DOCPROC_EMBEDDER_SERVICE": "real",
        "LLAMA_CLOUD_BASE_URL": address,
        "OPENAI_BASE_URL": f"{address}/v1",
    }
    return Quiet({**environ, **services, **keys})
