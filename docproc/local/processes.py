"""Starts, recognises and stops server processes that outlive the process that started them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

LARGEST_PID = 2**22
"""Linux's upper limit of pids, PID_MAX_LIMIT in its threads.h."""

_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")

# The shell forks the server, so that the server is a child of init and never a zombie of ours. The server waits for a
# line on standard input before it begins: whoever is killed before the record is written leaves nothing running.
_LAUNCH = """
exec 3<&0
{ read -r go <&3 || exit 1; exec "$@" 3<&- >>"$0" 2>&1; } </dev/null &
echo $!
"""


def started_at(pid: int) -> str | None:
    """When process ``pid`` started, in an opaque form that only its equals match; None when it is dead or a zombie.

    On Linux the clock ticks since boot, elsewhere what ``ps`` says.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None if Path("/proc/self/stat").exists() else _started_at_by_ps(pid)
    # The name in parentheses may itself hold blanks and parentheses; what follows the last one is field 3 onwards.
    fields = stat[stat.rindex(b")") + 1 :].decode("ascii").split()
    return None if fields[0] in "ZX" else fields[19]


def _started_at_by_ps(pid: int) -> str | None:
    command = ["ps", "-o", "state=,lstart=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split(maxsplit=1)  # noqa: S603
    if len(answer) < 2 or answer[0].startswith("Z"):
        return None
    return " ".join(answer[1].split())


@dataclass(frozen=True, slots=True)
class Process:
    """One process for ever: a pid alone is given to another process some day."""

    pid: int
    started: str

    def is_alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            # Another user's, which /proc may hide: it exists, and that is all we may know.
            return started_at(self.pid) in (self.started, None)
        return started_at(self.pid) == self.started

    def send(self, number: signal.Signals) -> None:
        """Sends a signal; nothing happens when the process has ended."""
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def stop(self, *steps: tuple[signal.Signals, float]) -> None:
        """Sends each step's signal and waits its seconds for the end. Raises TimeoutError after the last one."""
        for number, seconds in steps:
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                # Again and again: one that has just been forked ignores signals until it has its own handlers.
                self.send(number)
                if wait_until(lambda: not self.is_alive(), 0.25):
                    return
        raise TimeoutError(f"process {self.pid} does not end")


@dataclass(frozen=True, slots=True)
class Record:
    """What stands in a service's ``running.json``: its process, the boot that its pid belongs to, and its options."""

    pid: int
    started: str
    boot: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def process(self) -> Process:
        """The recorded process, whatever boot it belongs to."""
        return Process(self.pid, self.started)

    def is_alive(self, boot: str) -> bool:
        """Whether the service runs, as seen from ``boot``; a process of another boot is not seen at all."""
        return self.boot == boot and self.process.is_alive()

    def write(self, path: Path) -> None:
        """Puts the record at ``path`` in one step, so that no reader sees half of it."""
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.write_text(json.dumps(asdict(self)), encoding="utf-8")
        draft.replace(path)

    @classmethod
    def read(cls, path: Path) -> Record | None:
        """The record at ``path``; None when there is none or it is not readable as one."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None


def environment(**more: str) -> dict[str, str]:
    """The few variables that a server needs, and ``more``: no key of the user's reaches it."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ} | more


def launch(
    command: Sequence[str], *, env: Mapping[str, str], log: Path, record: Path, boot: str, options: dict[str, Any]
) -> Record:
    """Starts a server in a session of its own, its output appended to ``log``, and records it at ``record``.

    It inherits no open file. It begins only after the record is written. Raises OSError when there is no shell.
    """
    os.close(os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
    with subprocess.Popen(  # noqa: S603
        ["/bin/sh", "-c", _LAUNCH, str(log), *command],
        cwd=log.parent,
        env=dict(env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as shell:
        assert shell.stdin
        assert shell.stdout
        answer = shell.stdout.readline()
        if not answer:
            raise OSError(f"/bin/sh cannot start {command[0]}")
        pid = int(answer)
        running = Record(pid, started_at(pid) or "", boot, options)
        running.write(record)
        shell.stdin.write(b"go\n")
    return running


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Waits for ``condition`` at most ``seconds``; whether it came true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
