"""deploy: a version of docproc is rehearsed, applied, checked and tried out; what fails is taken back whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docproc import __version__
from docproc.errors import DocprocError, Exit, ProgramError
from docproc.redaction import redact
from docproc.smoke import Smoke, Smoker


class FoundError(ProgramError):
    """A step found that the environment is not as it should be."""

    exit_code = Exit.PROBLEMS


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a deploy: ``state`` is ok, failed or skipped; ``said`` what it did, or why not."""

    name: str
    state: str
    said: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a deploy is asked for. Without ``rehearse`` the smoke is compared with nothing but what must be so."""

    smoker: Smoker
    backup: Path | None = None
    rehearse: bool = True
    strict: bool = False  # warnings of the checks stop it too


@dataclass(slots=True)
class Deployed:
    """The account of a deploy. ``outcome`` is done, failed (nothing was changed), rolled back, or stuck.

    ``schema`` has the versions before and after, ``previous`` the docproc that was deployed before, ``way_back`` the
    commands that lead to it.
    """

    version: str = __version__
    steps: list[Step] = field(default_factory=list)
    outcome: str = "failed"
    schema: tuple[int, int] = (0, 0)
    previous: str = ""
    way_back: tuple[str, ...] = ()
    error: DocprocError | None = None
    smoke: Smoke | None = None

    @property
    def stopped_at(self) -> str | None:
        """The step that failed first."""
        return next((step.name for step in self.steps if step.state == "failed"), None)

    @property
    def exit_code(self) -> Exit:
        """0, or the error's own code; 6 where a check or the smoke stopped it, or an error with no code of its own."""
        if self.error is None:
            return Exit.OK
        return Exit.PROBLEMS if self.error.exit_code is Exit.FAILED else self.error.exit_code

    def document(self) -> dict[str, Any]:
        """For JSON."""
        told = self.error
        error = told and {"code": told.code, "what": redact(told.what), "why": redact(told.why)}
        steps = [{"step": s.name, "state": s.state, "said": s.said, "seconds": round(s.seconds, 3)} for s in self.steps]
        return {
            "version": self.version,
            "outcome": self.outcome,
            "stopped_at": self.stopped_at,
            "exit_code": int(self.exit_code),
            "schema": {"before": self.schema[0], "after": self.schema[1]},
            "previous": self.previous,
            "way_back": list(self.way_back),
            "error": error,
            "steps": steps,
            "smoke": self.smoke and self.smoke.document(),
        }
