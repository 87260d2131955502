"""Names this process so that others on the same machine can tell, without asking it, whether it is still alive."""

import hashlib
import os
import socket
from functools import cache
from pathlib import Path
from uuid import uuid4

from docproc.local import processes


@cache
def boot() -> str:
    """Ten hex digits that name this boot of the kernel and this pid namespace; empty where there is no /proc.

    A pid means something only among processes with the same value.
    """
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
    return hashlib.sha256(f"{boot_id} {namespace}".encode()).hexdigest()[:10]


def host_name() -> str:
    """The host's name and ``boot()``: two hosts or containers of equal name are told apart."""
    return f"{socket.gethostname().replace(':', '-')}-{boot()}"


def owner_name() -> str:
    """A new name ``host:pid:start:uuid`` for this process as an owner of claims.

    ``start`` is the process's start time in clock ticks since boot (field 22 of /proc/self/stat), 0 where there is no
    /proc. Every call gives another uuid: call it once a process and keep the answer.
    """
    return f"{host_name()}:{os.getpid()}:{processes.started_at(os.getpid()) or 0}:{uuid4().hex}"


def is_dead(owner: str) -> bool:
    """Whether the process that ``owner_name()`` named certainly runs no more.

    True only for an owner of this host, boot and pid namespace whose pid is gone, is a zombie, or belongs to a process
    that started at another time. Everything that cannot be known is False: other hosts, other formats, no /proc.
    """
    host, _, rest = owner.partition(":")
    pid, _, rest = rest.partition(":")
    start, _, unique = rest.partition(":")
    if not (boot() and host == host_name() and pid.isdecimal() and start.isdecimal() and unique):
        return False
    if int(start) == 0 or not 0 < int(pid) <= processes.LARGEST_PID:
        return False
    return not processes.Process(int(pid), start).is_alive()
