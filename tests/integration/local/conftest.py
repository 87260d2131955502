"""Real docproc processes, folders and clusters for the tests of the local environment."""

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import docproc
from docproc.local import cluster, identity
from docproc.local.processes import Process, Record

HERE = Path(__file__).parent
ROOT = Path(docproc.__file__).parent.parent
PATIENCE = 60.0
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


class Client:
    """A running ``client.py``."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)

    @property
    def pid(self) -> int:
        return self.process.pid

    def tell(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        """The next line it prints; empty when it has died."""
        assert self.process.stdout
        readable, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        assert readable, "the client does not answer"
        return self.process.stdout.readline().decode().strip()

    def ask(self, line: str) -> str:
        self.tell(line)
        return self.answer()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)

    def end(self) -> int:
        """Ends its input, so that it exits by itself; its exit code."""
        assert self.process.stdin
        self.process.stdin.close()
        return self.process.wait(PATIENCE)

    def dispose(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            assert stream
            try:
                stream.close()
            except BrokenPipeError:
                continue
        self.kill()


def python_for_anybody() -> str:
    """A Python that every user may run; the tests' own may stand in root's folder."""
    check = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    for python in (sys.executable, "/usr/bin/python3"):
        command = [*AS_NOBODY, python, "-c", check]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return python
    pytest.skip("no Python of this version that an ordinary user may run")


class Home:
    """A folder that docproc processes share, and the processes that the test started in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clients: list[Client] = []

    @property
    def data(self) -> Path:
        return self.path / "postgres" / "data"

    def client(self, *words: str, nobody: bool = False, wait: bool = True, **environment: str) -> Client:
        """Starts a client of the cluster, or of what ``words`` say, and waits until it is ready."""
        packages = [str(ROOT), *(path for path in sys.path if "site-packages" in path)]
        env = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(packages), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, str(HERE / "client.py"), str(self.path), *(words or ("cluster",))]
        if nobody:
            command = [*AS_NOBODY, python_for_anybody(), *command[1:]]
        client = Client(command, env | environment)
        self.clients.append(client)
        if wait:
            answer = client.answer()
            assert answer == "ready", answer
        return client

    def running(self, service: str = "postgres") -> Record | None:
        """The service if it runs."""
        record = Record.read(self.path / service / "running.json")
        return record if record and record.is_alive(identity.boot()) else None

    def server(self, service: str = "postgres") -> Process:
        """The service's process, which must run."""
        record = self.running(service)
        assert record, f"no {service} runs in {self.path}"
        return record.process

    def kill_server(self, service: str = "postgres") -> None:
        server = self.server(service)
        server.send(signal.SIGKILL)
        self.until(lambda: not server.is_alive())

    def postgres_processes(self) -> list[int]:
        """The pids of the postmaster and all of its children: they work in the data folder."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (process / "cwd").readlink() == self.data.resolve():
                    found.append(int(process.name))
        return found

    @staticmethod
    def until(condition: Callable[[], bool]) -> None:
        """Waits until ``condition`` holds; fails after a minute."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "the condition never came true"
            time.sleep(0.01)

    def kill_all(self) -> None:
        """Kills everything that works here."""
        for client in self.clients:
            client.dispose()
        for service in ("postgres", "mocks"):
            if record := self.running(service):
                record.process.send(signal.SIGKILL)
        self.until(lambda: not self.postgres_processes())


@pytest.fixture
def empty_home() -> Iterator[Home]:
    """A home with a short plain path and nothing in it."""
    home = Home(Path(tempfile.mkdtemp(prefix="local-")))
    yield home
    home.kill_all()
    shutil.rmtree(home.path)


@pytest.fixture(scope="session")
def made() -> Iterator[Path]:
    """A home with a cluster that was created once for all tests."""
    path = Path(tempfile.mkdtemp(prefix="local-"))
    cluster.start(path, fsync=False).close()
    yield path
    shutil.rmtree(path)


@pytest.fixture
def home(made: Path) -> Iterator[Home]:
    """A home whose cluster exists and does not run. Tests share its data: they may kill its server, not spoil it."""
    home = Home(made)
    yield home
    home.kill_all()


@pytest.fixture
def own_home(empty_home: Home, made: Path) -> Home:
    """A copy of such a home, to spoil."""
    of_the_server = shutil.ignore_patterns(".s.*", "postmaster.pid")
    shutil.copytree(made, empty_home.path, dirs_exist_ok=True, ignore=of_the_server)
    return empty_home
