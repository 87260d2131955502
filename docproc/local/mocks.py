"""The mock services: one HTTP server that all docproc processes of one folder share."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import docproc
from docproc.errors import ConfigError, TransientError
from docproc.local import identity, processes, shared
from docproc.local.processes import Record
from docproc.local.shared import RECORD
from docproc.settings import DEFAULT_PROFILE, Settings

SERVICE = "docproc-mocks"
"""What ``/health`` answers as ``service``: a port may have come into other hands."""

READY_SECONDS = 30.0
HEALTH_SECONDS = 5.0
STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class MockOptions:
    """How the mocks behave.

    ``processing_delay`` is in seconds until a parse is ready, ``size_variation`` the share by which texts grow at
    most, ``faults`` are written ``name:option=value,…`` (``python -m mocks --list-faults``), ``seed`` is of both.
    """

    processing_delay: float = 2.0
    faults: tuple[str, ...] = ()
    size_variation: float = 0.0
    seed: int | None = None

    def arguments(self) -> list[str]:
        """As words of the mocks' command line."""
        words = [f"--processing-delay={self.processing_delay}", f"--size-variation={self.size_variation}"]
        words += [f"--fault={fault}" for fault in self.faults]
        return words if self.seed is None else [*words, f"--seed={self.seed}"]

    def record(self) -> dict[str, Any]:
        """As JSON reads it back."""
        return asdict(self) | {"faults": list(self.faults)}


@dataclass(frozen=True, slots=True)
class MockServer:
    """The server whose state stands in ``folder``; a ``Service`` of shared.py."""

    folder: Path
    options: MockOptions

    @property
    def log(self) -> Path:
        """What the server prints."""
        return self.folder / "log"

    @property
    def _ready_file(self) -> Path:
        return self.folder / "port"

    @property
    def record(self) -> Record | None:
        """The running server's record, None when no server runs."""
        record = Record.read(self.folder / RECORD)
        return record if record and record.is_alive(identity.boot()) else None

    def port(self) -> int | None:
        """Where the server listens or, when it has ended, listened; None when it never got that far."""
        try:
            return int(self._ready_file.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return None

    def is_running(self) -> bool:
        """Whether its process lives and its port answers ``/health`` as the mocks do."""
        return self.record is not None and _answers(self.port())

    def suits(self) -> bool:
        """Whether it was started with the options asked for."""
        record = self.record
        return record is not None and record.options == self.options.record()

    def start(self) -> None:
        """Starts the server, at the port it had before if that is free, so that addresses in use stay true.

        Raises ConfigError ``config.mocks_start`` with the log's name.
        """
        self.stop()
        before = self.port()
        if not ((before and self._is_started_at(before)) or self._is_started_at(0)):
            raise ConfigError(
                "config.mocks_start",
                "the mock services do not start",
                why=f"{self._last_words()} (log: {self.log})",
                try_="pip install 'docproc[local]' brings what they need; else see the log named above",
            )

    def stop(self) -> None:
        """Ends it: SIGTERM, after ``STOP_SECONDS`` a kill; its state is in a file that bears both."""
        if record := self.record:
            record.process.stop((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5.0))

    def unusable(self, why: OSError) -> ConfigError:
        """The error for trouble with the folder or the process."""
        return ConfigError(
            "config.mocks_start",
            f"the mock services in {self.folder} cannot be used",
            why=str(why),
            try_="set DOCPROC_HOME to a folder of your own on a local disk",
        )

    def _is_started_at(self, port: int) -> bool:
        self._ready_file.unlink(missing_ok=True)
        process = self._launch(port).process
        processes.wait_until(lambda: self._ready_file.exists() or not process.is_alive(), READY_SECONDS)
        if self.is_running():
            return True
        self.stop()
        return False

    def _launch(self, port: int) -> Record:
        module, root = _module()
        path = os.pathsep.join(part for part in (str(root), os.environ.get("PYTHONPATH", "")) if part)
        files = ["--state", str(self.folder / "state.db"), "--ready-file", str(self._ready_file)]
        return processes.launch(
            [sys.executable, "-m", module, "--port", str(port), *files, *self.options.arguments()],
            # The server's working folder is no place to import from.
            env=processes.environment(PYTHONPATH=path, PYTHONSAFEPATH="1", PYTHONUNBUFFERED="1"),
            log=self.log,
            record=self.folder / RECORD,
            boot=identity.boot(),
            options=self.options.record(),
        )

    def _last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[-1] if lines else "no message"


def _module() -> tuple[str, Path]:
    """The mocks' module and the folder it is imported from: inside docproc where installed, beside it in a checkout."""
    root = Path(docproc.__file__).resolve().parent.parent
    return ("docproc.mocks" if importlib.util.find_spec("docproc.mocks") else "mocks"), root


def _answers(port: int | None) -> bool:
    import http.client

    if port is None:
        return False
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HEALTH_SECONDS)
    try:
        connection.request("GET", "/health")
        health = json.loads(connection.getresponse().read(10_000))
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return isinstance(health, dict) and health.get("service") == SERVICE


def serve_storage(settings: Settings) -> bool:
    """Whether the objects of ``settings`` are kept at the mocks: Supabase in the profile local, without an address."""
    local = settings.profile == DEFAULT_PROFILE
    return local and settings.storage.backend == "supabase" and settings.secrets.supabase_url is None


def make_bucket(address: str, name: str) -> None:
    """Makes the bucket ``name`` at the mocks at ``address`` unless there is one.

    Raises TransientError ``storage.unavailable`` when nobody answers there.
    """
    import urllib.request
    from urllib.parse import quote

    request = urllib.request.Request(f"{address}/mock/buckets/{quote(name, safe='')}", method="PUT")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=HEALTH_SECONDS):  # noqa: S310 - the mocks' address, or the user's
            return
    except OSError as error:
        why = type(error).__name__
        raise TransientError("storage.unavailable", f"the mock services at {address} do not answer", why=why) from None


class MockHandle(shared.Use):
    """The use of the running mocks. After ``ensure`` the ``address`` must be read anew: its port may have been taken.

    ``options_differ`` tells that they run with other options than asked for, because others use them too.
    """

    __slots__ = ("_server", "options_differ")

    def __init__(self, server: MockServer) -> None:
        super().__init__(server)
        self._server = server
        self.options_differ = not server.suits()

    @property
    def address(self) -> str:
        """``http://127.0.0.1:PORT``, for all services."""
        return f"http://127.0.0.1:{self._server.port()}"


def start(home: Path, *, options: MockOptions) -> MockHandle:
    """Makes this process a user of the mocks with their state in ``home / "mocks"`` and starts them when needed.

    Mocks that run with other options are restarted when nobody else uses them, else kept. Raises ConfigError
    ``config.mocks_start``.
    """
    return MockHandle(MockServer(home.resolve() / "mocks", options))
