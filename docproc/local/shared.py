"""The one protocol by which processes share a service: the first one starts it and the last one out stops it.

Two files in the service's folder are locked with ``flock``, which the kernel undoes however a process ends:

* ``start.lock`` exclusively, while somebody decides whether to start or to stop the service;
* ``users.lock`` shared, for as long as a process uses it. Who gets it exclusively is alone.

The service itself holds no lock: whether it runs is told by its process. So each may be killed at any moment: a dead
service is started again by the next user, and a service whose users are all dead is used, and later stopped, by the
next.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, Self

from docproc.errors import DocprocError
from docproc.local import identity
from docproc.local.processes import Process, Record

DECIDE_SECONDS = 90.0
"""How long to wait for others to start or stop the service; above the 40 s that one start takes at most."""

RECORD = "running.json"


class Service(Protocol):
    """What is shared; every method but ``is_running`` is called with ``start.lock`` held."""

    @property
    def folder(self) -> Path:
        """The service's own folder, mode 0700."""

    def is_running(self) -> bool:
        """Whether it can be used now."""

    def suits(self) -> bool:
        """Whether the running service has the options that this user asked for."""

    def start(self) -> None:
        """Starts it, or waits for one that is starting; returns when it can be used."""

    def stop(self) -> None:
        """Stops it if it runs; returns when its process has ended."""

    def unusable(self, why: OSError) -> DocprocError:
        """The error to raise when its folder or its process gives trouble."""


class Use:
    """This process's use of a running service, which runs while any use of any process is open.

    One serves all threads. When the service dies, connections break and new ones fail; ``ensure`` starts it again.
    """

    __slots__ = ("_opened_in", "_service")

    def __init__(self, service: Service) -> None:
        self._service = service
        self._opened_in: int | None = None
        with self._told():
            join(service)
        self._opened_in = os.getpid()

    def ensure(self) -> None:
        """Starts the service again when it has died; cheap while it runs. Of many callers at once only one does so.

        Raises what starting raises, and ValueError when this use is closed.
        """
        if self._opened_in != os.getpid():
            raise ValueError("closed, or opened before this process was forked")
        with self._told():
            ensure(self._service)

    def close(self) -> None:
        """Ends this use; the last one of all stops the service. A second call does nothing."""
        if self._opened_in == os.getpid():
            self._opened_in = None
            with self._told():
                leave(self._service)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._service.unusable(error) from error


class _Seat:
    """This process's place among the users of one service, shared by all of its threads and handles."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.handles = 0
        self.users: int | None = None
        self.service: Service | None = None
        self.process: Process | None = None


_seats: dict[Path, _Seat] = {}
_seats_lock = threading.Lock()


def _seat(folder: Path) -> _Seat:
    with _seats_lock:
        return _seats.setdefault(folder, _Seat())


def join(service: Service) -> None:
    """Makes this process a user of ``service``, which runs on return; every call needs its ``leave``.

    Raises OSError for a folder that cannot be used and TimeoutError after ``DECIDE_SECONDS``; whatever ``start``
    raises passes through, and then this process is no user.
    """
    seat = _seat(service.folder)
    with seat.lock:
        if seat.users is None:
            service.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _deciding(service.folder):
                seat.users = _open(service.folder / "users.lock")
                try:
                    fcntl.flock(seat.users, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    _bring_up(service, seat.users)
                except BaseException:
                    _give_up(service, seat)
                    raise
        elif not service.is_running():
            ensure(service)
        seat.handles += 1
        seat.service = service
        _remember(service, seat)


def ensure(service: Service) -> None:
    """Starts ``service`` again when it died. Cheap while it runs; only for a process that has joined."""
    if service.is_running():
        return
    seat = _seat(service.folder)
    with seat.lock, _deciding(service.folder):
        if not service.is_running():
            service.start()
        _remember(service, seat)


def leave(service: Service) -> None:
    """Undoes one ``join``; with the last one of the last process the service is stopped."""
    seat = _seat(service.folder)
    with seat.lock:
        if seat.users is None:
            return
        seat.handles -= 1
        if seat.handles > 0:
            return
        try:
            with _deciding(service.folder):
                _stop_if_alone(service, seat.users)
        except FileNotFoundError:
            # Somebody removed the folder. Our open users.lock still tells whether anybody else is left.
            if seat.process and _is_alone(seat.users):
                seat.process.stop((signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0))
        finally:
            _release(seat)


def _remember(service: Service, seat: _Seat) -> None:
    record = Record.read(service.folder / RECORD)
    seat.process = record.process if record else None


def _bring_up(service: Service, users: int) -> None:
    alone = _is_alone(users)
    if service.is_running():
        if service.suits() or not alone:
            return
        service.stop()
    record = Record.read(service.folder / RECORD)
    if record and record.boot != identity.boot() and not alone:
        raise OSError(f"{service.folder} is in use on another machine or in another container")
    service.start()


def _give_up(service: Service, seat: _Seat) -> None:
    try:
        if seat.users is not None:
            _stop_if_alone(service, seat.users)
    finally:
        _release(seat)


def _stop_if_alone(service: Service, users: int) -> None:
    if _is_alone(users):
        service.stop()


def _is_alone(users: int) -> bool:
    """Whether nobody else holds the lock that ``users`` shares; only with ``start.lock`` held.

    A refused change from shared to exclusive may lose the shared lock (flock(2)), so it is taken again either way.
    """
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        fcntl.flock(users, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return True


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _unlock(descriptor: int) -> None:
    # Closing alone would leave the lock with a child that was forked meanwhile and has the same open file.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _release(seat: _Seat) -> None:
    if seat.users is not None:
        _unlock(seat.users)
    seat.users, seat.handles, seat.service = None, 0, None


@contextmanager
def _deciding(folder: Path) -> Iterator[None]:
    """Holds ``start.lock``. Raises TimeoutError, and FileNotFoundError when there is no such folder."""
    path, deadline = folder / "start.lock", time.monotonic() + DECIDE_SECONDS
    descriptor = _open(path)
    try:
        while not _is_locked(descriptor, path):
            if time.monotonic() > deadline:
                raise TimeoutError(f"another process has been holding {path} for {DECIDE_SECONDS:.0f} s")
            time.sleep(0.005)
        yield
    finally:
        _unlock(descriptor)


def _is_locked(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    if not os.path.samestat(os.fstat(descriptor), path.stat()):
        raise FileNotFoundError(f"{path} was removed while it was being locked")
    return True


def _forget_in_child() -> None:
    """A forked child is no user: it closes its copies of the files, which leaves the parent's locks as they are."""
    global _seats_lock  # noqa: PLW0603 - another thread of the parent may have held it at the fork
    _seats_lock = threading.Lock()
    for seat in _seats.values():
        if seat.users is not None:
            os.close(seat.users)
    _seats.clear()


def _leave_all() -> None:
    """At the end of the program: whoever forgot to close a handle still stops the service as the last one out."""
    for seat in list(_seats.values()):
        if seat.service is not None:
            seat.handles = 1
            leave(seat.service)


os.register_at_fork(after_in_child=_forget_in_child)
atexit.register(_leave_all)
