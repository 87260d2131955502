"""What validate-deploy does with a baseline and with another profile: read, compare, write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from docproc import config
from docproc.drift import Comparison, Environment
from docproc.drift.baseline import Baseline, read, refuse_other, renewed, write
from docproc.errors import ConfigError
from docproc.redaction import learn_secrets
from docproc.settings import Settings

if TYPE_CHECKING:
    from docproc.app import App
    from docproc.drift.performance import Performance
    from docproc.smoke import Smoker
    from docproc.trials import Trial

ONLY = "drift"
"""What ``--only`` takes when no check is to be asked, but differences are."""

_NEEDS = "add --baseline FILE, --against PROFILE or --write-baseline FILE"


@dataclass(frozen=True, slots=True)
class Drift:
    """What is to be compared with, and ``target``, the file that a new baseline is written to.

    ``smoker`` takes documents through the environments, ``performance`` says that the reference batch is run.
    """

    file: Path | None = None
    baseline: Baseline | None = None
    other: Settings | None = None
    target: Path | None = None
    smoker: Smoker | None = None
    performance: bool = False

    @classmethod
    def told(
        cls,
        file: Path | None,
        other: str | None,
        target: Path | None,
        *,
        of: Settings,
        toml: Path | None,
        smoker: Smoker | None = None,
        performance: bool = False,
    ) -> Self:
        """What the options say for the settings ``of``; all files are read here, before anybody is asked anything.

        Raises ConfigError for a file that is no baseline, and for a profile that there is not or that is in use.
        """
        if other is not None and other == of.profile:
            why = f"{other} is the profile in use"
            raise ConfigError("config.invalid", "a profile cannot differ from itself", why=why, try_="name another")
        if target is not None:
            refuse_other(target)
        settings = config.load(config=toml, profile=other, alongside=True) if other else None
        if settings is not None:
            learn_secrets(settings.secrets)
        told = cls(file, read(file) if file else None, settings, target, smoker, performance)
        if (smoker or performance) and not told.is_asked:
            why = "no baseline and no other profile is named"
            raise ConfigError("config.invalid", "there is nothing to compare the results with", why=why, try_=_NEEDS)
        told.kept()
        return told

    @property
    def is_asked(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self.baseline or self.other or self.target)

    def checks(self, only: Sequence[str]) -> list[str] | None:
        """The checks and groups that ``only`` names, which may be none of many; None where no check is wanted.

        Raises ConfigError for ``drift`` where there is nothing to compare.
        """
        if ONLY not in only:
            return list(only)
        if not self.is_asked:
            why = "no baseline and no other profile is named"
            raise ConfigError("config.invalid", f"--only {ONLY} has nothing to compare with", why=why, try_=_NEEDS)
        return [name for name in only if name != ONLY] or None

    def observe(self, app: App) -> Environment | None:
        """The environment of ``app``; None where nobody asks."""
        from docproc.drift.observing import observe

        return observe(app) if self.is_asked else None

    def kept(self) -> Measured:
        """What the baseline holds of that which is to be measured. Raises ConfigError where it holds none."""
        from docproc.drift import performance, results

        if self.baseline is None:
            return Measured()
        to, kept = str(self.file), self.baseline
        return Measured(
            results.stored(to, kept.results) if self.smoker is not None else None,
            performance.Performance.of(to, kept.performance) if self.performance else None,
        )

    def measure(self, settings: Settings) -> Measured:
        """What ``settings`` make of documents, and how fast, as far as it is asked for; nothing of them stays."""
        from docproc.drift import performance

        results = self.smoker.take(settings) if self.smoker is not None and self.is_asked else None
        return Measured(results, performance.measure(settings) if self.performance and self.is_asked else None)

    def compare(self, now: Environment | None, measured: Measured, settings: Settings) -> list[Comparison]:
        """What differs from the baseline, and from the other profile."""
        from docproc.app import App
        from docproc.drift.comparing import with_baseline, with_profile
        from docproc.drift.observing import observe

        found: list[Comparison] = []
        if now is not None and self.baseline is not None:
            found.append(with_baseline(str(self.file), self.baseline.environment, now))
            found += _compared(str(self.file), self.kept(), measured, settings)
        if now is not None and self.other is not None:
            with App(self.other) as other:
                found.append(with_profile(observe(other), now))
            found += _compared(f"profile {self.other.profile}", self.measure(self.other), measured, settings)
        return found

    def write(self, now: Environment | None, measured: Measured, *, well: bool) -> None:
        """Writes the new baseline when all that was checked is ``well``: else what is wrong would become the rule."""
        from docproc.views.terminal import messages

        if now is None or self.target is None:
            return
        if not well:
            messages().print(f"{self.target} not written: a check found an error", markup=False)
            return
        fresh = {name: part.document() for name in ("results", "performance") if (part := getattr(measured, name))}
        write(self.target, replace(renewed(self.target, now), **fresh))
        messages().print(f"baseline written to {self.target}", markup=False)


@dataclass(frozen=True, slots=True)
class Measured:
    """What became of documents in an environment; None where that was not asked for."""

    results: Trial | None = None
    performance: Performance | None = None


def _compared(to: str, before: Measured, now: Measured, settings: Settings) -> Iterator[Comparison]:
    from docproc.drift import performance, results

    if before.results is not None and now.results is not None:
        yield results.compared(f"{to} · results", before.results, now.results, settings)
    if before.performance is not None and now.performance is not None:
        yield performance.compared(f"{to} · performance", before.performance, now.performance)
