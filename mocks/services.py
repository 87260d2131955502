"""What both services share: the state file, the faults in force, and the record of one request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from .faults import Effect, Faults, Rule, Subject
from .state import State


@dataclass(slots=True)
class Services:
    """The two services of one process; ``processing_delay`` is in seconds, ``size_variation`` a share of the text."""

    state: State
    faults: Faults
    processing_delay: float = 2.0
    size_variation: float = 0.0


@dataclass(slots=True)
class Call:
    """One request as the log will show it: which operation it is and which rules struck it."""

    services: Services
    operation: str
    struck: list[Rule] = field(default_factory=list)

    def draw(self, subject: Subject) -> Rule | None:
        """Lets the faults strike; the rule that refuses the request, or None when the work is to be done."""
        self.struck += self.services.faults.draw(self.operation, subject)
        return next((rule for rule in self.struck if rule.fault.effect is Effect.REFUSE), None)


Answer = Callable[[Request, Call], Awaitable[Response]]


def bearer_key(request: Request) -> str:
    """The key of the Authorization header, empty when there is none."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""
