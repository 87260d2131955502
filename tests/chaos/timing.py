"""Calls that last, and moments that have not come yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta


@contextmanager
def lasting(call: Callable[[], object]) -> Iterator[Future[object]]:
    """Runs ``call`` in a thread, to be waited for at the end."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(call)


def later(seconds: float) -> datetime:
    """A moment after now."""
    return datetime.now(UTC) + timedelta(seconds=seconds)
