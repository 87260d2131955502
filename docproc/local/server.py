"""Runs the Postgres server of the local database: starts it, recognises it, tells when it is ready, stops it."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import stat
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from docproc.errors import DatabaseError
from docproc.local import accounts, creation, identity, processes
from docproc.local.accounts import Account
from docproc.local.processes import Record
from docproc.local.shared import RECORD

READY_SECONDS = 30.0
BUSY_SECONDS = 10.0
"""How long the backends of a killed server may hold its shared memory before that is an error."""

SOCKET = ".s.PGSQL.5432"
SOCKET_BYTES = 100
"""Longest path of the socket: the kernels' limits are 107 (Linux) and 103 (macOS)."""

LOG_BYTES = 5_000_000
"""Above this size the log is put aside as ``log.1`` at the next start."""

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "64MB",
    # An HNSW index of 1,536 dimensions needs 8.2 KB a row while it is built: 30,000 rows.
    "maintenance_work_mem": "256MB",
    "max_wal_size": "512MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Statements and details may quote documents; the log shall not.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
# Commits still reach the kernel before they are answered, so that a killed server loses none.
_WITHOUT_FSYNC = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class Status:
    """What a running server wrote into ``postmaster.pid``."""

    pid: int
    socket_folder: Path
    state: str


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """The server whose data stands in ``folder / "data"``; a ``Service`` of shared.py. Without ``fsync`` a crash of
    the machine (not one of the server) may destroy the data."""

    folder: Path
    binaries: Path
    fsync: bool = True

    @property
    def data(self) -> Path:
        """Postgres's data folder, mode 0700."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server prints; holds no statements and no data."""
        return self.folder / "log"

    @property
    def passfile(self) -> Path:
        """The role's password in libpq's form, mode 0600."""
        return self.data / creation.PASSFILE

    def status(self) -> Status | None:
        """What the server says of itself; None when it does not run or has not got that far."""
        record = Record.read(self.folder / RECORD)
        if record is None or not record.is_alive(identity.boot()):
            return None
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return None
        # Line 1 pid, 5 socket folder, 8 state (Postgres: miscadmin.h); a killed server leaves its file behind.
        if len(lines) < 8 or int(lines[0]) != record.pid:
            return None
        return Status(record.pid, Path(lines[4]), lines[7].strip())

    def is_running(self) -> bool:
        """Whether it takes connections at a socket that exists."""
        status = self.status()
        return status is not None and status.state == "ready" and (status.socket_folder / SOCKET).exists()

    def suits(self) -> bool:
        """Always: its options never change what it answers."""
        return True

    def start(self) -> None:
        """Starts the server, creating its data first when there are none, and waits until it is ready.

        Raises DatabaseError ``database.local_start`` with the log's name.
        """
        account = accounts.choose(self.folder, self.data, self.binaries / "postgres")
        if not self.data.exists():
            creation.create(self.data, account, self.binaries, fsync=self.fsync)
        self._check_version()
        # One that is half started, half stopped or has lost its socket is of no use to anybody.
        self.stop()
        deadline = time.monotonic() + BUSY_SECONDS
        while (trouble := self._try_start(account)) is not None:
            if "pre-existing shared memory block" not in trouble or time.monotonic() > deadline:
                raise self._error("the local database does not start", trouble)
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it: a fast shutdown, after 20 s one without a checkpoint, after 5 s more a kill."""
        record = Record.read(self.folder / RECORD)
        if record is None or not record.is_alive(identity.boot()):
            return
        status = self.status()
        record.process.stop((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
        if status and status.socket_folder != self.data:
            # Ours and empty now; when it is not empty, somebody else uses it by the same name.
            with suppress(OSError):
                status.socket_folder.rmdir()

    def unusable(self, why: OSError) -> DatabaseError:
        """The error for trouble with the folder or the process."""
        return DatabaseError(
            "database.local_start",
            f"the local database in {self.folder} cannot be used",
            why=str(why),
            try_="set DOCPROC_HOME to a folder of your own on a local disk, or DATABASE_URL to a server of your own",
        )

    def _check_version(self) -> None:
        data = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        command = [str(self.binaries / "postgres"), "--version"]
        answer = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=False, env=processes.environment(LC_ALL="C")
        )
        found = re.search(r"\d+", answer.stdout)
        if found is None:
            raise self._error(f"{command[0]} does not run", answer.stderr.strip())
        if found[0] != data:
            raise DatabaseError(
                "database.local_start",
                f"the local database in {self.folder} was made by Postgres {data}",
                why=f"the binaries in {self.binaries} are Postgres {found[0]}, which cannot read it",
                try_=f"set DOCPROC_POSTGRES_BIN to the bin folder of a Postgres {data} with pgvector, "
                f"or move {self.folder} away to begin with an empty database",
            )

    def _try_start(self, account: Account) -> str | None:
        """Starts the server once and waits; None when it is ready, else what it said."""
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_name("log.1"))
        said = self.log.stat().st_size if self.log.exists() else 0
        running = self._launch(account)
        processes.wait_until(lambda: self.is_running() or not running.process.is_alive(), READY_SECONDS)
        if self.is_running():
            return None
        trouble = self._said_since(said)
        if running.process.is_alive():
            self.stop()
            trouble = f"not ready after {READY_SECONDS:.0f} s; {trouble}"
        return trouble

    def _launch(self, account: Account) -> Record:
        settings = _SETTINGS | ({} if self.fsync else _WITHOUT_FSYNC)
        settings["unix_socket_directories"] = str(self._socket_folder(account))
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return processes.launch(
            [*account.prefix, str(self.binaries / "postgres"), "-D", str(self.data), *options],
            env=processes.environment(LC_ALL="C", **self._stale_pid()),
            log=self.log,
            record=self.folder / RECORD,
            boot=identity.boot(),
            options={"fsync": self.fsync},
        )

    def _stale_pid(self) -> dict[str, str]:
        """Makes Postgres ignore the pid file of our dead server, whose pid may be a zombie's or a stranger's by now.

        It still looks for the shared memory that the file names, so that a server which lives is never run over.
        """
        try:
            pid = (self.data / "postmaster.pid").read_text(encoding="utf-8").partition("\n")[0]
        except FileNotFoundError:
            return {}
        return {"PG_GRANDPARENT_PID": pid}

    def _socket_folder(self, account: Account) -> Path:
        """The data folder if its path is short and plain, else a private folder under the temp folder."""
        if len(os.fsencode(self.data / SOCKET)) < SOCKET_BYTES and re.fullmatch(r"[A-Za-z0-9/._-]+", str(self.data)):
            return self.data
        name = f"docproc-{account.uid}-{hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]}"
        temp = Path(tempfile.gettempdir())
        if len(os.fsencode(temp / name / SOCKET)) >= SOCKET_BYTES or not re.fullmatch(r"[A-Za-z0-9/._-]+", str(temp)):
            temp = Path("/tmp")  # noqa: S108 - the folder in it is private and checked
        folder = temp / name
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            os.chown(folder, account.uid, account.gid)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid or stat.S_IMODE(found.st_mode) != 0o700:
            raise self._error("the folder for the local database's socket is not ours", f"{folder} belongs to another")
        return folder

    def _said_since(self, position: int) -> str:
        with self.log.open("rb") as log:
            log.seek(position)
            lines = log.read().decode("utf-8", "replace").splitlines()
        return "; ".join(line.partition("FATAL:")[2].strip() for line in lines if "FATAL:" in line) or "no message"

    def _error(self, what: str, why: str) -> DatabaseError:
        return DatabaseError("database.local_start", what, why=f"{why} (log: {self.log})")
