"""Serves the mock services: ``python -m mocks``, from a wheel ``python -m docproc.mocks``."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import tomllib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from .faults import Faults

HOST = "127.0.0.1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT. Exit code 0 after either, 2 for wrong options or a port that is taken."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.list_faults:
        from .app import list_faults

        sys.stdout.write(f"{list_faults()}\n")
        return 0
    try:
        settings = _settings(given)
        faults = Faults(settings["faults"], settings["seed"])
        listener = socket.create_server((HOST, given.port), backlog=1024)
    except (OSError, ValueError, TypeError) as wrong:
        parser.error(str(wrong))
    with listener:
        _serve(listener, given, settings, faults)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mocks", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--state", type=Path, help="SQLite file for jobs, bill and log; without it they live in memory")
    parser.add_argument("--config", type=Path, help="docproc.toml, whose section [mocks] is read")
    parser.add_argument("--processing-delay", type=float, help="seconds that a parse takes (2)")
    parser.add_argument("--size-variation", type=float, help="makes texts longer by up to this share (0)")
    parser.add_argument("--seed", type=int, help="of the faults and of the size variation (0)")
    parser.add_argument("--fault", action="append", metavar="SPEC", help="NAME[:option=value,…], may be repeated")
    parser.add_argument("--list-faults", action="store_true", help="print the catalogue of faults and leave")
    parser.add_argument("--ready-file", type=Path, help="gets the port once requests are answered")
    return parser


def _settings(given: argparse.Namespace) -> dict[str, Any]:
    """The defaults, overlaid by [mocks] of the configuration file and by the options; faults of both add up."""
    settings: dict[str, Any] = {"processing_delay": 2.0, "size_variation": 0.0, "seed": 0, "faults": []}
    if given.config:
        section = tomllib.loads(given.config.read_text("utf-8")).get("mocks", {})
        settings |= {name: section[name] for name in settings if name in section}
    options = {name: getattr(given, name) for name in ("processing_delay", "size_variation", "seed")}
    settings |= {name: value for name, value in options.items() if value is not None}
    settings["faults"] = [*settings["faults"], *(given.fault or [])]
    return settings


def _serve(listener: socket.socket, given: argparse.Namespace, settings: dict[str, Any], faults: Faults) -> None:
    import uvicorn
    from starlette.applications import Starlette

    from .app import create_app
    from .services import Services
    from .state import State

    class Server(uvicorn.Server):
        """Leaves at the first signal without waiting for open requests: the state file holds what was answered."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
            self.should_exit = True
            logging.disable()  # else every request that is cut off leaves a traceback

    port = listener.getsockname()[1]

    @asynccontextmanager
    async def announce(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001
        if given.ready_file:
            _write_atomically(given.ready_file, f"{port}\n")
        sys.stdout.write(f"http://{HOST}:{port}\n")
        sys.stdout.flush()
        yield

    state = State(given.state)
    try:
        services = Services(state, faults, float(settings["processing_delay"]), float(settings["size_variation"]))
        config = uvicorn.Config(
            create_app(services, announce),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=0,
            ws="none",
            loop="asyncio",
            http="h11",
        )
        Server(config).run(sockets=[listener])
    finally:
        state.close()


def _write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(f".{path.name}.{os.getpid()}")
    written.write_text(text, "utf-8")
    written.replace(path)


if __name__ == "__main__":
    sys.exit(main())
