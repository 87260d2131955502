"""How fast an environment is: a reference batch, several times, against the pace of the machine at that moment."""

from __future__ import annotations

import hashlib
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from docproc.drift import Comparison, Difference
from docproc.errors import ConfigError
from docproc.trials import Trial
from docproc.trials.taking import take

if TYPE_CHECKING:
    from docproc.settings import Settings

DOCUMENTS = 24
SECTIONS = 12
"""The reference batch: so many documents of so many sections, about 5 kB each, the same on every machine."""

RUNS = 5
"""How often the batch is run: the median of five bears two runs that were disturbed."""

BAND = 0.20
"""By how much it may be slower: what is asked of two environments that are to be equally fast."""

ROUNDS = 60
"""Of the yardstick: about 0.1 s of work on one core."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run: seconds of the batch, and of the yardstick right before and after it, on average."""

    seconds: float
    yardstick: float

    @property
    def ratio(self) -> float:
        """The batch in yardsticks: what is left when a busy or a slower machine is taken out."""
        return self.seconds / self.yardstick


@dataclass(frozen=True, slots=True)
class Performance:
    """The runs of one measurement; ``stages`` are the median seconds that a document stood in each state."""

    documents: int
    runs: tuple[Run, ...]
    stages: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """Median of the batch."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def throughput(self) -> float:
        """Documents a second, by the median."""
        return self.documents / self.seconds

    @property
    def ratio(self) -> float:
        """Median of the runs' ratios."""
        return statistics.median(run.ratio for run in self.runs)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest ratio."""
        ratios = [run.ratio for run in self.runs]
        return min(ratios), max(ratios)

    def document(self) -> dict[str, Any]:
        """As a baseline keeps it."""
        return asdict(self) | {"throughput": round(self.throughput, 3), "ratio": round(self.ratio, 3)}

    @classmethod
    def of(cls, to: str, document: Any) -> Self:
        """What a baseline holds. Raises ConfigError when it holds none."""
        try:
            runs = tuple(Run(float(run["seconds"]), float(run["yardstick"])) for run in document["runs"])
            return cls(int(document["documents"]), runs, dict(document["stages"]))
        except (KeyError, TypeError, ValueError):
            raise ConfigError(
                "config.invalid",
                f"{to} holds no performance",
                try_="docproc validate-deploy --write-baseline FILE --performance",
            ) from None


def measure(settings: Settings, *, runs: int = RUNS, documents: int = DOCUMENTS) -> Performance:
    """Runs the reference batch in the environment of ``settings``, under a user of its own; nothing of it stays."""
    with tempfile.TemporaryDirectory(prefix="docproc-") as folder:
        batch = [_written(Path(folder), number) for number in range(documents)]
        take(settings, batch)  # what is loaded once is loaded now
        measured = [_run(settings, batch) for _ in range(runs)]
    stages = {
        state: round(statistics.median(s.seconds[state] for _, trial in measured for s in trial.samples), 4)
        for state in measured[0][1].samples[0].seconds
    }
    return Performance(documents, tuple(run for run, _ in measured), stages)


def compared(to: str, before: Performance, now: Performance) -> Comparison:
    """What is slower by more than the band, where it is more than noise: the slowest run before beats the fastest now.

    Stages are told and never counted: in which of them a document waits is chance where many are on their way.
    """
    if before.documents != now.documents:
        raise ConfigError("config.invalid", f"{to} was measured with another batch", try_="write it again")
    return Comparison(to, tuple(_told(before, now)))


def _told(before: Performance, now: Performance) -> Iterator[Difference]:
    change = now.ratio / before.ratio - 1
    slower = change > BAND and now.spread[0] > before.spread[1]
    level = "error" if slower else "info"
    if slower or abs(change) > BAND:
        why = f"{abs(change):.0%} {'slower' if change > 0 else 'faster'}, against the machine's own pace"
        why += "" if slower or change < 0 else "; within the noise of its runs"
        yield Difference("throughput", "performance", _pace(before), _pace(now), level, why)


def _pace(measured: Performance) -> str:
    return f"{measured.throughput:.1f} documents/s, {measured.ratio:.1f} yardsticks"


def _run(settings: Settings, batch: Sequence[Path]) -> tuple[Run, Trial]:
    first = _yardstick()
    trial = take(settings, batch)
    missing = [sample.name for sample in trial.samples if not sample.complete]
    if missing:
        raise ConfigError("config.invalid", "the reference batch did not become complete", why=", ".join(missing[:3]))
    return Run(trial.seconds, (first + _yardstick()) / 2), trial


def _yardstick() -> float:
    """Seconds of some work that has always been the same: hashing, and what Python does with words and numbers."""
    started = time.perf_counter()
    digest = b""
    for n in range(ROUNDS):
        digest = hashlib.sha256(digest + bytes(100_000)).digest()
        words = " ".join(str(m * n) for m in range(3_000)).split()
        words.sort()
    return time.perf_counter() - started


def _written(folder: Path, number: int) -> Path:
    """A document of the batch: the same words on every machine, others in every document."""
    lines = [f"# Report {number}"]
    for section in range(SECTIONS):
        seed = hashlib.sha256(f"{number} {section}".encode()).hexdigest()
        words = " ".join(f"measure {seed[n : n + 4]} of part {seed[n + 4 : n + 8]}" for n in range(0, 56, 8))
        lines.append(f"## Section {section}\n\n{words}.\n\n{words[::-1]}.")
    path = folder / f"report-{number:02}.md"
    path.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    return path
