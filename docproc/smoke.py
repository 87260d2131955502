"""Smoke: a canary, or samples, through the whole of an environment, compared with what became of them locally."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docproc.trials import SECONDS, Difference, Trial, differences
from docproc.trials.taking import local_twin, samples_in, take

if TYPE_CHECKING:
    from docproc.settings import Settings

QUESTION = "When are the bearings of the harbour crane greased?"
"""What the canary answers, and nothing else that a trial brings."""


@dataclass(frozen=True, slots=True)
class Smoke:
    """A trial of an environment, with what was expected of it, if anything, and what is not as it should be."""

    trial: Trial
    expected: Trial | None
    differences: tuple[Difference, ...]

    @property
    def errors(self) -> list[Difference]:
        """The differences that are no mere warnings."""
        return [difference for difference in self.differences if difference.severity == "error"]

    @property
    def said(self) -> str:
        """One line for a report."""
        samples = self.trial.samples
        complete, chunks = sum(sample.complete for sample in samples), sum(sample.chunks for sample in samples)
        sizes = sorted({size for sample in samples for size in sample.dimensions})
        dimensions = f" of {', '.join(map(str, sizes))} dimensions" if sizes else ""
        return f"{complete} of {len(samples)} complete, {chunks} chunks{dimensions}"

    def document(self) -> dict[str, Any]:
        """For JSON."""
        told = [asdict(d) for d in self.differences]
        return {"trial": self.trial.document(), "differences": told}


@dataclass(frozen=True, slots=True)
class Smoker:
    """Takes the same samples through one environment after the other; ``folder`` None is the canary."""

    folder: Path | None = None
    timeout: float = SECONDS

    def rehearse(self, settings: Settings) -> Trial:
        """Takes the samples through the local twin of ``settings``: this version, mocks, a database of its own."""
        with local_twin(settings) as twin:
            return self.take(twin)

    def smoke(self, settings: Settings, expected: Trial | None) -> Smoke:
        """Takes the samples through the environment of ``settings`` and compares; nothing of them stays there."""
        return judged(self.take(settings), settings, expected)

    def take(self, settings: Settings) -> Trial:
        """Takes the samples through the environment of ``settings``; nothing of them stays there."""
        if self.folder is not None:
            return take(settings, samples_in([str(self.folder)]), timeout=self.timeout)
        with as_file(files("docproc") / "samples") as canary:
            return take(settings, samples_in([str(canary)]), timeout=self.timeout, questions=(QUESTION,))


def judged(trial: Trial, settings: Settings, expected: Trial | None = None) -> Smoke:
    """What of ``trial`` is not as it must be under ``settings``, and not as ``expected``."""
    told = differences(expected, trial) if expected is not None else []
    known = {(difference.sample, difference.what) for difference in told}
    told += [d for d in _of_itself(trial, settings) if (d.sample, d.what) not in known]
    return Smoke(trial, expected, tuple(told))


def _of_itself(trial: Trial, settings: Settings) -> Iterator[Difference]:
    """What must be so whatever was expected."""
    for sample in trial.samples:
        if not sample.complete:
            state = f"{sample.state} ({sample.code})" if sample.code else sample.state
            yield Difference(sample.name, "state", "complete", state)
            continue
        if sample.dimensions != (settings.embedder.dimensions,):
            wanted, have = str([settings.embedder.dimensions]), str(list(sample.dimensions))
            yield Difference(sample.name, "dimensions", wanted, have)
        if not sample.chunks == sample.vectors == sample.shown:
            have = f"{sample.vectors} vectors, {sample.shown} shown"
            yield Difference(sample.name, "vectors", f"{sample.chunks}, all shown", have)
    for found in trial.found:
        if not found.names:
            yield Difference("search", "answer", "the canary", "nothing")
