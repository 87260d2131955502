"""What one test session may spend at the paid services, what it has spent, and the prices that both are counted by."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

CEILING_CENTS = 500
"""No setting lets a session spend more."""

CENT = 1_000_000
"""Money is counted in millionths of a cent, so that no sum is ever rounded."""

CREDIT = 125_000
"""A LlamaParse credit: 1.25 USD per 1,000 credits (public price list as others quote it, October 2026)."""

CREDITS_A_PAGE = {"fast": 1, "cost_effective": 3, "agentic": 10, "agentic_plus": 45}
"""LlamaParse, by tier (the same source and month)."""

TOKEN = {"text-embedding-3-small": 2, "text-embedding-3-large": 13, "text-embedding-ada-002": 10}
"""OpenAI: 0.02, 0.13 and 0.10 USD per million tokens (openai.com/api/pricing, November 2026)."""

VARIABLES = {
    "parse_calls": "DOCPROC_TEST_LLAMAPARSE_CALLS",
    "tokens": "DOCPROC_TEST_OPENAI_TOKENS",
    "cents": "DOCPROC_TEST_CENTS",
    "file_bytes": "DOCPROC_TEST_FILE_BYTES",
}
"""The environment variable of each limit."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a session may spend. Raises ValueError for a limit below zero or money above ``CEILING_CENTS``."""

    parse_calls: int = 5
    tokens: int = 10_000
    cents: int = 100
    file_bytes: int = 100_000

    def __post_init__(self) -> None:
        if min(self.parse_calls, self.tokens, self.cents, self.file_bytes) < 0:
            raise ValueError("a limit is below zero")
        if self.cents > CEILING_CENTS:
            raise ValueError(f"{VARIABLES['cents']} is {self.cents}, and no session may spend over {CEILING_CENTS}")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """The limits that ``VARIABLES`` set, the others as they are. Raises ValueError for what is no whole number."""
        told = {name: environ[variable] for name, variable in VARIABLES.items() if environ.get(variable)}
        for name, value in told.items():
            if not (value.isascii() and value.isdecimal()):
                raise ValueError(f"{VARIABLES[name]} is {value!r}, which is no whole number")
        return cls(**{name: int(value) for name, value in told.items()})


@dataclass(frozen=True, slots=True)
class Charge:
    """What a request costs; ``money`` is in millionths of a cent."""

    parse_calls: int = 0
    tokens: int = 0
    money: int = 0


def parse_charge(tier: object, pages: int) -> Charge:
    """One parse of ``pages`` pages; a tier that is not known counts as the dearest."""
    return Charge(parse_calls=1, money=pages * credits_a_page(tier) * CREDIT)


def credits_a_page(tier: object) -> int:
    """Credits of a page; a tier that is not known counts as the dearest."""
    return CREDITS_A_PAGE.get(str(tier), max(CREDITS_A_PAGE.values()))


def embedding_charge(model: object, tokens: int) -> Charge:
    """``tokens`` embedded; a model that is not known counts as the dearest."""
    return Charge(tokens=tokens, money=tokens * TOKEN.get(str(model), max(TOKEN.values())))


class Budget:
    """The spend of one session, for any number of threads. Once a request went past it, no other is let through."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.stopped = ""
        """Which limit stopped the session, empty while all hold."""
        self._spent = Charge()
        self._lock = threading.Lock()

    def reserve(self, charge: Charge) -> bool:
        """Counts ``charge`` before it is spent; False, and nothing is counted, where a limit would be passed."""
        with self._lock:
            after = _sum(self._spent, charge)
            self.stopped = self.stopped or self._passed(after)
            if not self.stopped:
                self._spent = after
            return not self.stopped

    def give_back(self, charge: Charge) -> None:
        """Takes back what was reserved for a request that the service refused."""
        with self._lock:
            self._spent = _sum(self._spent, Charge(-charge.parse_calls, -charge.tokens, -charge.money))

    def add(self, charge: Charge) -> None:
        """Counts what the service says that it charged beyond what was reserved."""
        with self._lock:
            self._spent = _sum(self._spent, charge)
            self.stopped = self.stopped or self._passed(self._spent)

    def report(self) -> dict[str, Any]:
        """The spend as JSON: ``parse_calls``, ``tokens``, ``cents``, and ``stopped``, the limit that was met."""
        with self._lock:
            spent = self._spent
            return {
                "parse_calls": spent.parse_calls,
                "tokens": spent.tokens,
                "cents": spent.money / CENT,
                "stopped": self.stopped,
            }

    def line(self) -> str:
        """The spend in one line for people."""
        spent, limits = self.report(), self.limits
        return (
            f"spent {spent['parse_calls']} of {limits.parse_calls} LlamaParse calls"
            f" · {spent['tokens']:,} of {limits.tokens:,} OpenAI tokens"
            f" · {spent['cents']:.4f} of {limits.cents} cents"
        )

    def _passed(self, spent: Charge) -> str:
        limits = self.limits
        if spent.parse_calls > limits.parse_calls:
            return f"the limit of {limits.parse_calls} LlamaParse calls ({VARIABLES['parse_calls']})"
        if spent.tokens > limits.tokens:
            return f"the limit of {limits.tokens} OpenAI tokens ({VARIABLES['tokens']})"
        if spent.money > limits.cents * CENT:
            return f"the limit of {limits.cents} cents ({VARIABLES['cents']})"
        return ""


def _sum(one: Charge, other: Charge) -> Charge:
    return Charge(one.parse_calls + other.parse_calls, one.tokens + other.tokens, one.money + other.money)
