"""What the HTTP clients share: the turn to import them, and how long a response asks us to wait."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

IMPORTING = threading.RLock()
"""Held by whoever imports an SDK or makes its client. They import their parts at first use, and share packages: of two
threads that import these at the same moment, in different orders, one is given half of one."""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of ``retry-after-ms`` or ``Retry-After``, given as a number or as a date; None when neither is usable."""
    milliseconds = headers.get("retry-after-ms")
    value = headers.get("retry-after")
    try:
        if milliseconds is not None:
            return max(0.0, float(milliseconds) / 1000)
        return None if value is None else max(0.0, float(value))
    except ValueError:
        return _until(value or "")


def _until(date: str) -> float | None:
    try:
        return max(0.0, (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


MOCK_SERVICE = "docproc-mocks"
"""What docproc's own mock services call themselves at ``/health``."""


def is_mock(base_url: str) -> bool:
    """Whether docproc's mocks answer at the origin of ``base_url``; an address that does not answer is none."""
    import json
    from urllib.error import URLError
    from urllib.parse import urlsplit
    from urllib.request import urlopen

    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https"):
        return False
    try:
        with urlopen(f"{parts.scheme}://{parts.netloc}/health", timeout=2.0) as answer:  # noqa: S310 - checked above
            return bool(json.loads(answer.read(10_000)).get("service") == MOCK_SERVICE)
    except (URLError, OSError, ValueError, AttributeError):
        return False
