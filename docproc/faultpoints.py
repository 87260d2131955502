"""Named points at which a test can have the process die; they cost one comparison when off.

``DOCPROC_FAULT_POINT=name`` kills the process with SIGKILL when it first reaches that point, ``name:3`` the third time,
``name@place:3`` the third time at that place of it (``database.statement@settle.sql:3``).
"""

import os
import signal
import threading

POINTS = (
    "parse.before_submit",
    "parse.after_submit",
    "parse.after_submitted",
    "parse.before_store",
    "embed.before_request",
    "embed.after_response",
    "embed.mid_copy",
    "settle.before_commit",
    "database.statement",  # before every statement, COMMIT included
    "database.committed",
)

_wanted, _, _count = os.environ.get("DOCPROC_FAULT_POINT", "").partition(":")
_wanted, _, _place = _wanted.partition("@")
_left = int(_count or 1)
_lock = threading.Lock()

if _wanted and _wanted not in POINTS:
    raise SystemExit(f"DOCPROC_FAULT_POINT={_wanted} is none of {', '.join(POINTS)}")


def is_wanted(point: str) -> bool:
    """Whether the environment asks for a death at ``point``."""
    return point == _wanted


def reach(point: str, at: str = "") -> None:
    """Dies here when the environment asked for it, and says so on standard error; ``at`` tells more exactly where."""
    global _left  # noqa: PLW0603 - the countdown belongs to the process, as its death does
    if point != _wanted or _place not in ("", at):
        return
    with _lock:
        _left -= 1
        if _left == 0:
            os.write(2, f"killed at {point} {at}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)
