"""Runs docproc's own worker on a Dask cluster: as many copies as wanted, one account of what they did together."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docproc.engines import copies
from docproc.engines.copies import Ended, Order
from docproc.errors import PRECEDENCE, ConfigError, Exit, JobError, ProgramError
from docproc.report import Report, Spent
from docproc.run import Documents, Progress, run, stoppable
from docproc.runner import TICK, Failure
from docproc.states import OPEN, State

if TYPE_CHECKING:
    from distributed import Client, Future

    from docproc.app import App
    from docproc.intake import Intake
    from docproc.run import Stop

SCHEME = "dask://"

CONNECT_SECONDS, WORKERS_SECONDS = 10.0, 30.0
"""How long the scheduler may take to answer, and after it the first of its workers."""

STOP_EVERY = 1.0
"""Seconds between two calls for an end: a worker that came back meanwhile has not heard the first."""

_QUIET = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
"""Ctrl-C at a terminal reaches every process that was started there; this one's end is the cluster's affair."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One docproc worker on the cluster: where it was started, and how it ended; None when its host went away."""

    worker: str
    ended: Ended | None

    def __str__(self) -> str:
        """``tcp://10.0.0.7:41233: done 412, failed 0, exit 0``."""
        if self.ended is None:
            return f"{self.worker}: lost; its leases run out, and its documents go to others"
        told = self.ended.receipt
        if not told:
            return f"{self.worker}: exit {self.ended.exit_code}, without a receipt"
        return f"{self.worker}: done {told['done']:,}, failed {told['failed']:,}, exit {self.ended.exit_code}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to run on a cluster: how many copies (None: one a worker), and the options that each of them gets.

    ``address`` is ``dask://HOST:PORT`` of a scheduler, or ``dask://`` for a cluster of this machine's own. ``flags``
    are the options that are settings, by ``section.key``: what the copies are to read from the same words.
    """

    address: str
    workers: int | None = None
    profile: str | None = None
    config: Path | None = None
    user: str | None = None
    budget: str | None = None
    flags: Mapping[str, object] = field(default_factory=dict)

    def order(self, app: App) -> Order:
        """What a copy is to do, and with what: with the same as ``app``. Raises DatabaseError."""
        named = {"--profile": self.profile, "--config": self.config, "--user": self.user, "--budget": self.budget}
        told = [f"{name}={value}" for name, value in named.items() if value is not None]
        place = (None if self.config is None else str(self.config), self.profile, dict(self.flags))
        return Order(str(app.run_id), ("run-all", "--json", *told), place, copies.facts(app.settings))

    def refuse_nonsense(self) -> None:
        """Raises ConfigError ``config.usage`` for another engine than Dask, or for no workers."""
        if not self.address.startswith(SCHEME):
            raise ConfigError("config.usage", f"--on {self.address!r} is not known", try_="--on dask://HOST:PORT")
        if self.workers is not None and self.workers < 1:
            raise ConfigError("config.usage", f"--workers {self.workers} is too few", try_="--workers 1, or more")


def run_on(
    app: App,
    wanted: Wanted,
    intake: Intake,
    report: Report,
    *,
    progress: Progress,
    documents: Documents | None = None,
    on_end: Callable[[Copy], None] = lambda _: None,
    max_duration: float | None = None,
) -> Report:
    """Takes ``intake`` in here, then drains all stages by copies on the cluster; fills and closes ``report``.

    ``on_end`` hears of each copy that ended. After a signal or ``max_duration`` seconds the copies are asked for an
    orderly end. Raises ConfigError ``config.missing`` without the extra, ``engine.unreachable`` without a cluster that
    has workers, ``engine.mismatch`` where a worker would make other results than this process; nothing is begun then.
    """
    ends_at = None if max_duration is None else time.monotonic() + max_duration
    with stoppable(max_duration) as stop, _cluster(wanted) as client:
        order = wanted.order(app)
        _refuse_mismatch(client, order)
        run(  # an ordinary run without any stage
            app,
            report.command,
            intake,
            (),
            stay=False,
            progress=progress,
            documents=documents,
            max_duration=ends_at and max(0.0, ends_at - time.monotonic()),
            report=report,
        )
        report.total = app.store.queue.backlog(list(OPEN)).open
        halted = report.trouble is not report.guard or report.signal is not None or stop.asked
        if report.total and not halted:
            app.store.runs.begin(report.command, app.settings.profile)  # before the copies: they share its budget
            _drain(client, app, _submit(client, wanted, order), report, stop, progress=progress, on_end=on_end)
        report.signal = report.signal or stop.signal
    report.tally.left = app.store.queue.backlog(list(OPEN)).open
    report.phase = "ending"
    app.store.runs.end(report.exit_code, report.receipt())
    return report


# ── the cluster ─────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _cluster(wanted: Wanted) -> Iterator[Client]:
    """A client of the cluster that is named, or of one of this machine's own, which ends with the context."""
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        what = "Dask is not installed"
        raise ConfigError(
            "config.missing", what, why="--on dask:// needs it", try_="pip install 'docproc[dask]'"
        ) from None
    place = wanted.address.removeprefix(SCHEME)
    with ExitStack() as stack:
        try:
            if place:
                client = stack.enter_context(Client(f"tcp://{place}", timeout=CONNECT_SECONDS, set_as_default=False))
            else:
                local = LocalCluster(
                    n_workers=wanted.workers or os.cpu_count() or 1,
                    threads_per_worker=1,
                    host="127.0.0.1",
                    dashboard_address=None,
                    memory_limit=0,  # what docproc uses is another process's
                    preload=[_QUIET],
                )
                client = stack.enter_context(Client(stack.enter_context(local), set_as_default=False))
            client.wait_for_workers(1, timeout=WORKERS_SECONDS)
        except (OSError, ValueError) as error:  # TimeoutError is an OSError
            what = f"there is no Dask cluster with workers at {place or 'this machine'}"
            raise ConfigError("engine.unreachable", what, why=str(error) or type(error).__name__) from None
        yield client


def _refuse_mismatch(client: Client, order: Order) -> None:
    for worker, why in client.run(copies.objection, order, on_error="return").items():
        if isinstance(why, BaseException):
            what = "docproc cannot work on every worker of the cluster"
            raise ConfigError("engine.mismatch", what, why=f"{worker} says: {why}")
        if why:
            what = "a worker of the cluster would make other results"
            raise ConfigError("engine.mismatch", what, why=f"{worker} has {why}")


# ── the copies ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _drain(
    client: Client,
    app: App,
    running: dict[Future[Ended], str],
    report: Report,
    stop: Stop,
    *,
    progress: Progress,
    on_end: Callable[[Copy], None],
) -> None:
    assert report.goal is not None
    backlog = app.store.queue.backlog
    report.phase = "working"
    progress.begin(report.total, report.goal)
    done: list[Copy] = []
    asked_at = looked_at = 0.0
    try:
        while running:
            for future in [future for future in running if future.done()]:
                done.append(Copy(running.pop(future), _answer(future)))
                on_end(done[-1])
            if stop.asked and time.monotonic() - asked_at > STOP_EVERY:
                asked_at = time.monotonic()
                client.run(copies.stop, str(app.run_id), on_error="ignore")
            if time.monotonic() - looked_at > STOP_EVERY:
                looked_at = time.monotonic()
                report.tally.reached[report.goal] = max(0, report.total - backlog(list(OPEN)).open)
            progress.tick(report.tally)
            time.sleep(TICK)
    finally:
        progress.end()
    _add_up(report, done, stopped=stop.asked)


def _submit(client: Client, wanted: Wanted, order: Order) -> dict[Future[Ended], str]:
    """The copies, spread over the cluster's workers."""
    workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
    places = list(islice(cycle(workers), wanted.workers or len(workers)))
    return {
        client.submit(copies.run_copy, order, workers=[place], allow_other_workers=True, pure=False): place
        for place in places
    }


def _answer(future: Future[Ended]) -> Ended | None:
    """What a copy came to; None when its worker went away, and where it was tried again that one too."""
    if future.status != "finished":
        return None
    ended: Ended = future.result()
    return ended


def _add_up(report: Report, done: Sequence[Copy], *, stopped: bool) -> None:
    """Puts together what the copies tell; what one did that was killed is told by the database alone."""
    ended = [copy.ended for copy in done if copy.ended is not None]
    reached: Counter[State] = Counter()
    for one in ended:
        for state, count in one.receipt.get("reached", {}).items():
            reached[State(state)] += count
    report.tally.reached = reached
    report.tally.failures = [_failure(told) for one in ended for told in one.failures]
    report.spent = tuple(_together(spent for one in ended for spent in one.receipt.get("spent", ())))
    troubles = [_trouble(copy) for copy in done if copy.ended is not None and copy.ended.error is not None]
    known = [trouble for trouble in troubles if trouble.exit_code in PRECEDENCE]
    if known and not stopped:
        report.trouble = min(known, key=lambda trouble: PRECEDENCE.index(trouble.exit_code))


def _failure(told: Mapping[str, Any]) -> Failure:
    error = JobError(told["code"], told["reason"], try_=told["try"])
    return Failure(told["source"], State(told["state"]), error)


def _trouble(copy: Copy) -> ProgramError:
    assert copy.ended is not None
    assert copy.ended.error is not None
    told = copy.ended.error
    why = f"{told['why']} (on {copy.worker})" if told["why"] else f"on {copy.worker}"
    error = ProgramError(told["code"], told["what"], why=why, try_=told["try"])
    error.exit_code = Exit(told["exit"])
    return error


def _together(parts: Iterable[Mapping[str, Any]]) -> Iterator[Spent]:
    """What was bought of the same kind, in one."""
    sums: dict[tuple[str, str, str], Spent] = {}
    for part in parts:
        one = Spent(**part)
        key = (one.provider, one.operation, one.unit)
        if (before := sums.get(key)) is not None:
            usd = None if before.usd is None or one.usd is None else before.usd + one.usd
            one = replace(
                one,
                calls=one.calls + before.calls,
                units=one.units + before.units,
                usd=usd,
                estimated=one.estimated or before.estimated,
            )
        sums[key] = one
    yield from sums.values()
