"""Runs a comparison: every variant takes the same samples, one after the other, as often as was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from docproc import chunkers
from docproc.app import App
from docproc.compare import Comparison, Question, Result
from docproc.compare.variants import Variant, opened
from docproc.errors import ConfigError, DocprocError, StoppedError
from docproc.model import Page
from docproc.redaction import redact
from docproc.run import stoppable
from docproc.settings import Settings
from docproc.text import document as normalised
from docproc.trials import SECONDS, Trial
from docproc.trials.taking import names_of, take


def questions_in(file: Path, samples: Sequence[Path]) -> tuple[Question, ...]:
    """The questions in ``file``: lines of a question, a tab, and the name of the one among ``samples`` that answers it.

    Empty lines and those that begin with # mean nothing. Raises ConfigError for what is no question about ``samples``.
    """
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("config.invalid", f"the questions in {file} cannot be read", why=str(error)) from None
    names = sorted(names_of(samples).values())
    asked = [
        _question(line, names, f"{file}, line {n}")
        for n, line in enumerate(lines, 1)
        if line.strip() and not line.startswith("#")
    ]
    if not asked:
        raise ConfigError("config.invalid", f"no questions in {file}", try_="a question, a tab, and a document a line")
    return tuple(asked)


def _question(line: str, names: Sequence[str], where: str) -> Question:
    words, _, told = (part.strip() for part in line.partition("\t"))
    if not words or not told:
        raise ConfigError("config.invalid", "this is no question", why=where, try_="a question, a tab, a document")
    found = [name for name in names if told in (name, PurePosixPath(name).name)]
    if len(found) != 1:
        near = get_close_matches(told, names, n=1)
        try_ = f"did you mean {near[0]}?" if near else "name a document as the report does"
        why = f"{where}: {len(found)} documents have this name"
        raise ConfigError("config.invalid", f"no document {told} to find the answer in", why=why, try_=try_)
    return Question(words, found[0])


def compare(
    chosen: Sequence[Variant],
    samples: Sequence[Path],
    *,
    questions: Sequence[Question] = (),
    runs: int = 1,
    timeout: float = SECONDS,
    told: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Takes ``samples`` through every variant ``runs`` times, in turn; each time for at most ``timeout`` seconds.

    A variant that something stops is not run again; the others are. ``told`` hears a line a run. Raises StoppedError
    after a signal.
    """
    trials: dict[str, list[Trial]] = {variant.name: [] for variant in chosen}
    troubles: dict[str, DocprocError] = {}
    words = [question.words for question in questions]
    # A signal between two runs would else end the process, and leave a database behind.
    with ExitStack() as stack, stoppable() as stop:
        settings = {variant.name: stack.enter_context(opened(variant)) for variant in chosen}
        for name in [variant.name for _ in range(runs) for variant in chosen]:
            if stop.signal is not None:
                raise StoppedError(stop.signal)
            if name in troubles:
                continue
            try:
                if not trials[name]:
                    _check(settings[name])
                trial = take(settings[name], samples, timeout=timeout, questions=words)
            except StoppedError:
                raise
            except DocprocError as error:
                troubles[name] = error
                told(f"{name}: {redact(str(error))}")
            else:
                trials[name].append(trial)
                complete = sum(sample.complete for sample in trial.samples)
                told(f"{name}: {complete} of {len(trial.samples)} complete, {trial.seconds:.1f} s")
    return Comparison(
        tuple(_result(variant, trials[variant.name], troubles.get(variant.name)) for variant in chosen),
        tuple(questions),
    )


def _check(settings: Settings) -> None:
    """Asks both services by calls that cost nothing. Raises DocprocError when one of them is not to be had.

    It also loads what the first run of the process would else pay for with its time: clients and vocabulary.
    """
    with App(settings) as app:
        app.parser.check()
        app.embedder.check(settings.embedder.model)
    document, _ = normalised([Page(1, "words")])
    for _ in chunkers.get(settings.chunker.name).chunk(document):
        pass


def _result(variant: Variant, trials: Sequence[Trial], trouble: DocprocError | None) -> Result:
    settings = variant.settings
    return Result(
        variant.name,
        variant.where,
        settings.chunker.name,
        settings.embedder.model,
        settings.parser.tier,
        tuple(trials),
        trouble,
    )
