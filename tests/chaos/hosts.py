"""Hosts of a test's own, each with an address, a name, pids and, if wanted, a clock; on cables that can be cut."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docproc.local import accounts, cluster, creation
from docproc.postgres import migrations
from docproc.postgres.database import Database
from tests.support import ROOT, Mocks, bare_environment, wait_until

HUB = "10.77.0.1"
"""Where Postgres and the mocks are. The network is nobody else's: it exists in namespaces of the test alone."""

PORTS = {"postgres": 5432, "mocks": 8080}
CLONE_NEWNET = 0x40000000
FAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"
_MOCKS = f"import mocks.__main__ as m; m.HOST = {HUB!r}; raise SystemExit(m.main())"


def why_not() -> str:
    """Why there can be no hosts here; empty where there can."""
    missing = [name for name in ("ip", "unshare", "nsenter", "setpriv") if not shutil.which(name)]
    if missing:
        return f"{' and '.join(missing)} not installed (iproute2, util-linux)"
    if os.geteuid() != 0:
        return "network namespaces need root"
    tried = subprocess.run(["unshare", "--net", "--uts", "--pid", "--fork", "true"], capture_output=True, check=False)
    return f"namespaces are not allowed here: {tried.stderr.decode().strip()}" if tried.returncode else ""


def faketime() -> Path | None:
    """The library that gives a process another clock, if it is installed (Debian's package ``faketime``)."""
    return next(iter(sorted(Path("/").glob(FAKETIME.removeprefix("/")))), None)


@dataclass(frozen=True, slots=True)
class Host:
    """One host; ``pid`` is that of its first process, as it is seen from here. Whoever ends it ends the host."""

    name: str
    address: str
    pid: int

    def start(self, words: Sequence[str], environ: Mapping[str, str], folder: Path, log: Path) -> subprocess.Popen[str]:
        """Starts docproc on it, with ``folder`` as its working directory."""
        folder.mkdir(exist_ok=True)
        entering = ["nsenter", f"--target={self.pid}", "--net", "--uts", "--pid", "--mount", f"--wdns={folder}", "--"]
        with log.open("ab") as said:
            return subprocess.Popen(
                [*entering, sys.executable, "-m", "docproc", *words],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                text=True,
                env=dict(environ),
            )


@dataclass(frozen=True, slots=True)
class Cable:
    """What joins the hosts."""

    hub: Host
    hosts: tuple[Host, ...]

    def cut(self, host: Host) -> None:
        """Nothing goes to ``host`` or comes from it any more; nobody is told."""
        self._set(host, "down")

    def mend(self, host: Host) -> None:
        """As if nothing had happened."""
        self._set(host, "up")

    def _set(self, host: Host, state: str) -> None:
        _in_net(self.hub, "ip", "link", "set", f"to-{host.name}", state)


@dataclass(frozen=True, slots=True)
class FarMocks(Mocks):
    """Mocks that can be asked from ``door`` alone: a thread that stands in the hub's network."""

    door: ThreadPoolExecutor

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        return self.door.submit(Mocks._ask, self, method, path, body).result()


@dataclass(frozen=True, slots=True)
class Site:
    """Hosts with one Postgres and one server of mocks; ``conninfo`` leads there from here, ``environ`` from a host."""

    cable: Cable
    conninfo: str
    mocks: Mocks
    environ: Mapping[str, str]
    log: Path


@contextmanager
def site(names: Sequence[str], *, processing_delay: float, faults: Sequence[str]) -> Iterator[Site]:
    """Makes it, with docproc's schema; removes it all at the end, and where this process is killed before."""
    with ExitStack() as stack:
        # A socket's path must be short.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="docproc-site-", dir="/tmp")))
        cable = stack.enter_context(_cable(names))
        conninfo, password = stack.enter_context(_postgres(cable.hub, folder))
        stack.enter_context(_mocks(cable.hub, folder, processing_delay, faults))
        door = stack.enter_context(ThreadPoolExecutor(1, initializer=_enter_net, initargs=(cable.hub.pid,)))
        mocks = FarMocks(f"http://{HUB}:{PORTS['mocks']}", door)
        environ = bare_environment(
            DATABASE_URL=f"postgresql://{creation.NAME}:{password}@{HUB}:{PORTS['postgres']}/{creation.NAME}",
            DOCPROC_MOCKS_ADDRESS=mocks.address,
            LLAMA_CLOUD_BASE_URL=mocks.address,
            OPENAI_BASE_URL=f"{mocks.address}/v1",
        )
        yield Site(cable, conninfo, mocks, environ, folder / "postgres.log")


# ── the network ─────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _cable(names: Sequence[str]) -> Iterator[Cable]:
    with ExitStack() as stack:
        hub = stack.enter_context(_host("hub", HUB))
        _in_net(hub, "ip", "link", "set", "lo", "up")
        _in_net(hub, "ip", "link", "add", "bridge", "type", "bridge")
        _in_net(hub, "ip", "address", "add", f"{HUB}/24", "dev", "bridge")
        _in_net(hub, "ip", "link", "set", "bridge", "up")
        hosts = [stack.enter_context(_host(name, f"10.77.0.{n}")) for n, name in enumerate(names, 11)]
        for host in hosts:
            plug = f"to-{host.name}"
            _in_net(hub, "ip", "link", "add", plug, "type", "veth", "peer", "name", "eth0", "netns", str(host.pid))
            _in_net(hub, "ip", "link", "set", plug, "master", "bridge", "up")
            _in_net(host, "ip", "address", "add", f"{host.address}/24", "dev", "eth0")
            _in_net(host, "ip", "link", "set", "eth0", "up")
            _in_net(host, "ip", "link", "set", "lo", "up")
        yield Cable(hub, tuple(hosts))


@contextmanager
def _host(name: str, address: str) -> Iterator[Host]:
    """Namespaces that last as long as a process which sleeps in them: with it all their processes and cables go."""
    namespaces = ["--net", "--uts", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child"]
    sleeping = f"hostname {name} && echo ready && exec sleep infinity"
    holder = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "unshare", *namespaces, "sh", "-c", sleeping], stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        with holder.stdout:
            assert holder.stdout.readline() == b"ready\n", f"host {name} did not come up"
        children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text("ascii").split()
        yield Host(name, address, int(children[0]))
    finally:
        holder.kill()
        holder.wait()


def _in_net(host: Host, *command: str) -> None:
    subprocess.run(["nsenter", f"--target={host.pid}", "--net", "--", *command], check=True)


def _enter_net(pid: int) -> None:
    """Takes the calling thread, and no other, into the network of process ``pid``."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/proc/{pid}/ns/net").open("rb") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


# ── what is in the hub ──────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _postgres(hub: Host, folder: Path) -> Iterator[tuple[str, str]]:
    """A cluster that listens in the hub and here by a socket; the conninfo for here, and the password."""
    data, binaries = folder / "data", cluster.binaries()
    account = accounts.choose(folder, data, binaries / "postgres")
    creation.create(data, account, binaries, fsync=False)
    with (data / "pg_hba.conf").open("a", encoding="ascii") as access:
        access.write(f"host all all {HUB}/24 scram-sha-256\n")
    settings = {
        "listen_addresses": HUB,
        "unix_socket_directories": str(data),
        "fsync": "off",
        # Statements may quote documents; the log shall not.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        # A host that went away in the middle of a transaction would keep its locks for hours.
        "idle_in_transaction_session_timeout": "30s",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    command = [*account.prefix, str(binaries / "postgres"), "-D", str(data), *options]
    password = (data / creation.PASSFILE).read_text("ascii").strip().rpartition(":")[2]
    conninfo = f"host={data} user={creation.NAME} dbname={creation.NAME} password={password}"
    with _running(hub, command, folder / "postgres.log", signal.SIGINT):
        wait_until(lambda: (data / "postmaster.pid").exists() and "ready" in (data / "postmaster.pid").read_text())
        database = Database(conninfo)
        migrations.migrate(database)
        database.close()
        yield conninfo, password


@contextmanager
def _mocks(hub: Host, folder: Path, delay: float, faults: Sequence[str]) -> Iterator[None]:
    ready = folder / "mocks.port"
    told = [f"--port={PORTS['mocks']}", f"--state={folder / 'mocks.db'}", f"--ready-file={ready}", "--seed=7"]
    told += [f"--processing-delay={delay}", *(f"--fault={fault}" for fault in faults)]
    with _running(hub, [sys.executable, "-c", _MOCKS, *told], folder / "mocks.log", signal.SIGTERM):
        wait_until(ready.exists)
        yield


@contextmanager
def _running(hub: Host, command: Sequence[str], log: Path, end: signal.Signals) -> Iterator[None]:
    with log.open("wb") as said:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--target={hub.pid}", "--net", "--", *command],
            cwd=ROOT,
            env=bare_environment(LC_ALL="C"),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    try:
        yield
    finally:
        process.send_signal(end)
        try:
            process.wait(20.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
