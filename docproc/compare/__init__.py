"""Comparisons: the same documents through two or more profiles, and what each made of them, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

from docproc.errors import DocprocError, Exit
from docproc.redaction import redact
from docproc.states import FAILED, Command, claimed_by
from docproc.trials import Difference, Sample, Trial, differences

Value = str | float | None
"""Of a measure in one variant; None where there is none, or nobody knows it."""


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks, and the name of the sample that answers it."""

    words: str
    sample: str


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the samples in one variant: a trial for each run, and what stopped it, if anything.

    ``where`` is ``scratch`` or the address of the database; ``chunker``, ``model`` and ``tier`` are the settings'.
    """

    name: str
    where: str
    chunker: str
    model: str
    tier: str
    trials: tuple[Trial, ...] = ()
    trouble: DocprocError | None = None

    @property
    def last(self) -> Trial | None:
        """The trial that everything but times is taken from."""
        return self.trials[-1] if self.trials else None

    @property
    def seconds(self) -> float | None:
        """How long all samples took together: the median of the runs."""
        return median(trial.seconds for trial in self.trials) if self.trials else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The results of all variants; each is compared with the first."""

    results: tuple[Result, ...]
    questions: tuple[Question, ...] = ()

    @property
    def first(self) -> Result:
        """The variant that the others are compared with."""
        return self.results[0]

    @property
    def others(self) -> dict[str, list[Difference] | None]:
        """By variant, what is not as in the first; None where one of the two did not run."""
        expected = self.first.last
        return {
            result.name: differences(expected, result.last)
            if expected is not None and result.last is not None
            else None
            for result in self.results[1:]
        }

    @property
    def samples(self) -> int:
        """How many documents were compared."""
        return max((len(trial.samples) for result in self.results for trial in result.trials), default=0)

    @property
    def runs(self) -> int:
        """How often each variant was run."""
        return max(len(result.trials) for result in self.results)

    def equal(self, told: list[Difference]) -> int:
        """How many samples have none of the differences ``told``."""
        return self.samples - len({difference.sample for difference in told})

    def measures(self) -> dict[str, list[Value]]:
        """What was measured, by name: a value for each variant, in their order."""
        rows: dict[str, list[Value]] = {
            "where": [result.where for result in self.results],
            "parser": [_service(trial.parser, r.tier) if (trial := r.last) else None for r in self.results],
            "chunker": [result.chunker for result in self.results],
            "embedder": [_service(trial.embedder, r.model) if (trial := r.last) else None for r in self.results],
        }
        rows |= {name: [_of_last(result, count) for result in self.results] for name, count in _COUNTS.items()}
        if self.runs > 1:
            rows["unsteady"] = [_unsteady(result) for result in self.results]
        rows["states"] = [self._states(result) for result in self.results]
        rows |= self._times()
        rows |= {name: [_of_last(result, bought) for result in self.results] for name, bought in _BOUGHT.items()}
        if self.questions:
            ranks = [self.ranks(result) for result in self.results]
            rows |= {name: [_found(of, score) for of in ranks] for name, score in _SCORES.items()}
        return rows

    def _times(self) -> dict[str, list[Value]]:
        first, seconds = self.first.seconds, [result.seconds for result in self.results]
        rows: dict[str, list[Value]] = {
            "seconds": [*seconds],
            "ratio": [one / first if one is not None and first else None for one in seconds],
            "documents_per_second": [
                sum(sample.complete for sample in trial.samples) / one if one and (trial := result.last) else None
                for result, one in zip(self.results, seconds, strict=True)
            ],
        }
        return rows | {f"{command}_seconds": [_stood(r, command) for r in self.results] for command in Command}

    def _states(self, result: Result) -> Value:
        if self.first.last is None or result.last is None:
            return None
        expected, found = self.first.last.by_name, result.last.by_name
        different = sum(name not in found or found[name].states != s.states for name, s in expected.items())
        return f"{different} differ" if different else "equal"

    def ranks(self, result: Result) -> list[int | None] | None:
        """For each question the place, from 1, of the best passage from the right sample; None where it has none."""
        if result.last is None:
            return None
        found = [told.names for told in result.last.found]
        return [
            next((place for place, name in enumerate(names, 1) if name == question.sample), None)
            for question, names in zip(self.questions, found, strict=True)
        ]

    def asked(self) -> Iterator[tuple[Question, list[int | None]]]:
        """The questions, each with the rank in every variant that ran."""
        ranks = [of for result in self.results if (of := self.ranks(result)) is not None]
        for n, question in enumerate(self.questions):
            yield question, [of[n] for of in ranks]

    def exit_code(self, fail_on: str | None) -> Exit:
        """What stopped a variant; 3 where a sample is complete in the first one only; 6 for what ``fail_on`` names.

        ``fail_on`` is ``warn``, ``error``, or None where differences are no problem.
        """
        for result in self.results:
            if result.trouble is not None:
                return result.trouble.exit_code
        if any(self._lost(result) for result in self.results[1:]):
            return Exit.SOME_FAILED
        severities = {"warn": ("warn", "error"), "error": ("error",)}.get(fail_on or "", ())
        told = (difference for other in self.others.values() for difference in other or ())
        return Exit.PROBLEMS if any(difference.severity in severities for difference in told) else Exit.OK

    def _lost(self, result: Result) -> bool:
        if self.first.last is None or result.last is None:
            return False
        found = result.last.by_name
        return any(
            s.complete and not (name in found and found[name].complete) for name, s in self.first.last.by_name.items()
        )

    def document(self) -> dict[str, Any]:
        """For JSON."""
        measures = self.measures()
        return {
            "samples": self.samples,
            "runs": self.runs,
            "variants": [
                {
                    "name": result.name,
                    **{name: values[n] for name, values in measures.items()},
                    "trouble": trouble(result),
                    "runs": [{"seconds": trial.seconds, "usd": trial.usd} for trial in result.trials],
                    "samples": [asdict(sample) for sample in result.last.samples] if result.last else [],
                }
                for n, result in enumerate(self.results)
            ],
            "differences": {
                name: None if told is None else {"equal": self.equal(told), "told": [asdict(one) for one in told]}
                for name, told in self.others.items()
            },
            "questions": [{**asdict(question), "ranks": ranks} for question, ranks in self.asked()],
        }


def trouble(result: Result) -> dict[str, str] | None:
    """What stopped a variant, without a secret: ``code``, ``what``, ``why``, ``try``."""
    error = result.trouble
    if error is None:
        return None
    return {
        "code": error.code,
        "what": redact(error.what),
        "why": redact(error.why),
        "try": redact(error.remedy),
    }


def _service(kind: str, what: str) -> str:
    return f"{kind} {what}"


def _of_last(result: Result, count: Callable[[Trial], Value]) -> Value:
    return None if result.last is None else count(result.last)


def _failed(sample: Sample) -> bool:
    return sample.state in (*FAILED, "refused")


def _dimensions(trial: Trial) -> str:
    return ", ".join(map(str, sorted({size for sample in trial.samples for size in sample.dimensions})))


def _tokens_per_chunk(trial: Trial) -> float | None:
    chunks = sum(sample.chunks for sample in trial.samples)
    return sum(sample.tokens for sample in trial.samples) / chunks if chunks else None


_COUNTS: dict[str, Callable[[Trial], Value]] = {
    "documents": lambda trial: len(trial.samples),
    "complete": lambda trial: sum(sample.complete for sample in trial.samples),
    "failed": lambda trial: sum(map(_failed, trial.samples)),
    "unfinished": lambda trial: sum(not sample.complete and not _failed(sample) for sample in trial.samples),
    "pages": lambda trial: sum(sample.pages for sample in trial.samples),
    "chunks": lambda trial: sum(sample.chunks for sample in trial.samples),
    "tokens": lambda trial: sum(sample.tokens for sample in trial.samples),
    "tokens_per_chunk": _tokens_per_chunk,
    "dimensions": _dimensions,
}


def _units(unit: str) -> Callable[[Trial], Value]:
    return lambda trial: sum(bought.units for bought in trial.bought if bought.unit == unit)


def _calls(unit: str) -> Callable[[Trial], Value]:
    return lambda trial: sum(bought.calls for bought in trial.bought if bought.unit == unit)


_BOUGHT: dict[str, Callable[[Trial], Value]] = {
    "usd": lambda trial: trial.usd,
    "parser_calls": _calls("page"),
    "parser_pages": _units("page"),
    "embedder_calls": _calls("token"),
    "embedder_tokens": _units("token"),
}

_SCORES: dict[str, Callable[[int | None], float]] = {
    "recall_at_1": lambda rank: rank == 1,
    "recall_at_5": lambda rank: rank is not None and rank <= 5,
    "mrr": lambda rank: 0.0 if rank is None else 1 / rank,
}
"""What a question adds to the mean, by the rank of its answer."""


def _found(ranks: list[int | None] | None, score: Callable[[int | None], float]) -> float | None:
    return None if ranks is None else fmean(map(score, ranks))


def _stood(result: Result, command: Command) -> float | None:
    """Seconds for which a document stood in the states of ``command``: the median of all that passed them."""
    states = claimed_by(command)
    times = [
        sum(sample.seconds.get(state, 0.0) for state in states)
        for trial in result.trials
        for sample in trial.samples
        if any(state in sample.seconds for state in states)
    ]
    return median(times) if times else None


def _unsteady(result: Result) -> int | None:
    """How many samples were not the same in every run."""
    if result.last is None:
        return None
    last = result.last
    return len({difference.sample for trial in result.trials for difference in differences(last, trial)})
