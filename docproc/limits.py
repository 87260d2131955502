"""The provider's rate limit, shared by all processes: who may send when, decided ahead and in one place."""

from __future__ import annotations

import math
import sys
import threading
import time
from typing import TYPE_CHECKING

from docproc.model import Rates

if TYPE_CHECKING:
    from docproc.store import RateLimits

USED_SHARE = 0.93
"""Part of the limit that is used: requests are a moment under way, and then closer together than they were sent."""

BURST = 1.5
"""Seconds' worth of the limit that may be sent at once after a rest."""

LARGEST_SHARE = 1 / 40
"""Part of a minute's tokens that one request may hold: sent on time, no 60 seconds come over the limit with it."""

AHEAD = 1.0
"""Seconds' worth of the limit that a process reserves at a time, so that many small requests do not ask each."""

PATIENCE = 60.0
"""Seconds ahead for which a place is taken; when the next one is later, nobody takes it yet."""

SCARCE = 0.2
"""Share of the limit left, by the provider's own word, from which on a limit that nobody configured is kept to."""

EMPTY = 0.02
"""The same, from which on everybody waits for the time that the provider names."""


class Limits:
    """Turns at one provider: at most so many requests and tokens a minute, 0 being what the provider itself says."""

    def __init__(self, store: RateLimits, name: str, *, requests: int = 0, tokens: int = 0) -> None:
        self._store = store
        self._name = name
        self._requests = requests
        self._tokens = tokens
        self._lock = threading.Lock()
        self._starts = 0.0
        self._left = 0.0
        self._looked = -math.inf

    @property
    def largest_request(self) -> int:
        """Tokens that one request may hold."""
        return max(1, int(self._tokens * LARGEST_SHARE)) if self._tokens else sys.maxsize

    def turn(self, tokens: int) -> float:
        """Seconds until a request of ``tokens`` may be sent; over PATIENCE, its place is not kept."""
        with self._lock:
            cost, now = self._cost(tokens), time.monotonic()
            if not cost:
                return self._pause_left(now)
            if now > self._starts + self._left + AHEAD:
                self._left = 0.0
            if self._left < cost * 0.999:
                # What is left of the place before, too short for this request, is used with the new one: where small
                # and large requests take turns, a tenth of the limit would be lost otherwise. A minute gets about as
                # much from the one before as it leaves to the next.
                more = math.ceil(AHEAD / cost) * cost - self._left
                wait = self._store.reserve(self._name, seconds=more, burst=BURST, patience=PATIENCE)
                if wait > PATIENCE:
                    return wait
                self._starts = now + wait
                self._left += more
            starts = self._starts
            self._starts += cost
            self._left -= cost
            return max(0.0, starts - now)

    def pause(self, seconds: float) -> None:
        """The provider asked to wait: no process sends before ``seconds`` have passed."""
        with self._lock:
            self._left = 0.0
            self._looked = -math.inf
        self._store.pause(self._name, seconds)

    def heard(self, rates: Rates) -> None:
        """Corrects the limits by what the provider said with its last answer."""
        with self._lock:
            if self._tokens or self._requests or rates.left < SCARCE:
                self._requests = _smaller(self._requests, rates.requests)
                self._tokens = _smaller(self._tokens, rates.tokens)
        if rates.left < EMPTY and rates.full_in:
            self.pause(min(rates.full_in, PATIENCE))

    def _cost(self, tokens: int) -> float:
        """Seconds of the limit that a request takes, of the scarcer of the two."""
        requests = 60 / self._requests if self._requests else 0.0
        return max(requests, 60 * tokens / self._tokens if self._tokens else 0.0) / USED_SHARE

    def _pause_left(self, now: float) -> float:
        """Without a limit there are still pauses, which another process may have asked for."""
        if now - self._looked > AHEAD:
            self._starts = now + self._store.reserve(self._name, seconds=0.0, burst=0.0, patience=PATIENCE)
            self._looked = now
        return max(0.0, self._starts - now)


def _smaller(ours: int, theirs: int | None) -> int:
    return min(filter(None, (ours, theirs)), default=0)
