"""The steps of a deploy, in their order, and what happens when one fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from docproc import __version__
from docproc.deploy import Deployed, FoundError, Step, Wishes, way_back
from docproc.errors import DatabaseError, DocprocError, StoppedError
from docproc.postgres import migrations
from docproc.postgres.deployments import Deployments
from docproc.redaction import redact
from docproc.run import Stop, stoppable
from docproc.smoke import Smoke, judged

if TYPE_CHECKING:
    from docproc.app import App
    from docproc.trials import Trial

log = logging.getLogger(__name__)

OnStep = Callable[[Step], None]
SKIPPED = "skipped: "


def deploy(app: App, wishes: Wishes, *, on_step: OnStep = lambda _: None) -> Deployed:
    """Brings the environment of ``app`` to this version of docproc, and proves it; what failed is in the account.

    One deploy at a time: raises BusyError while another is at work. Raises DatabaseError when there is no database.
    """
    done = Deployed()
    with Deployments(app.database).turn(), stoppable() as stop:
        _Deploy(app, wishes, done, on_step, stop).run()
    return done


class _Deploy:
    def __init__(self, app: App, wishes: Wishes, done: Deployed, on_step: OnStep, stop: Stop) -> None:
        self._app, self._wishes, self._done, self._on_step, self._stop = app, wishes, done, on_step, stop
        self._history = Deployments(app.database)
        self._started = time.monotonic()
        self._expected: Trial | None = None
        self._fingerprint = ""
        self._id: int | None = None

    def run(self) -> None:
        """Goes step by step; after the first that fails, back."""
        self._look_around()
        try:
            self._step("rehearse", self._rehearse)
            self._step("back up", self._back_up)
            self._step("migrate", self._migrate)
            self._step("validate", self._validate)
            self._step("smoke", self._smoke)
            self._done.outcome = "done"
        except DocprocError as error:
            self._done.error = error
            self._go_back()
        self._close()

    def _step(self, name: str, work: Callable[[], str]) -> None:
        """Times a step and tells of it; whatever goes wrong in it is raised as a DocprocError."""
        started = time.monotonic()
        trouble: DocprocError | None = None
        try:
            if self._stop.signal is not None:  # between two steps; this one is then where it stopped
                raise StoppedError(self._stop.signal)
            said = work()
        except DocprocError as error:
            trouble, said = error, str(error)
        except Exception as error:
            # What it is nobody knows, but what was changed must be taken back.
            log.debug("step %s", name, exc_info=True)
            trouble = DocprocError("program.unexpected", f"{name}: {type(error).__name__}")
            said = str(trouble)
        state = "failed" if trouble else "skipped" if said.startswith(SKIPPED) else "ok"
        step = Step(name, state, redact(said.removeprefix(SKIPPED)), time.monotonic() - started)
        self._done.steps.append(step)
        self._on_step(step)
        if trouble is not None:
            raise trouble

    # ── forward ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _look_around(self) -> None:
        database = self._app.database
        at = migrations.version(database)
        self._done.schema = (at, at)
        self._fingerprint = migrations.fingerprint(database)
        for left in self._history.give_up_abandoned():
            log.warning("a deploy of docproc %s, begun at %s, was killed", left["version"], left["started_at"])
        self._done.previous = self._history.last_version()
        self._open()

    def _rehearse(self) -> str:
        if not self._wishes.rehearse:
            return f"{SKIPPED}not wanted"
        self._expected = self._wishes.smoker.rehearse(self._app.settings)
        smoke = judged(self._expected, self._app.settings)
        _refuse(smoke, "this version does not even work in the profile local")
        return f"{smoke.said}, in the profile local"

    def _back_up(self) -> str:
        if self._wishes.backup is None:
            return f"{SKIPPED}no --backup"
        if not self._fingerprint:
            return f"{SKIPPED}there is nothing yet"
        from docproc.postgres.backup import dump

        return dump(self._app.database, self._wishes.backup)

    def _migrate(self) -> str:
        done = self._done
        migrated = migrations.migrate(self._app.database)
        done.schema = (migrated.before, migrated.after)
        self._open()
        back = f"docproc migrate --to {migrated.before}" if migrated.before != migrated.after else ""
        done.way_back = tuple(filter(None, (back, self._install())))
        if migrated.pending:
            why = "; ".join(f"{name}: {why}" for name, why in migrated.pending)
            raise FoundError("deploy.indexes", "not every index could be built", why=why)
        steps = ", ".join([*migrated.done, *migrated.built])
        return f"schema {migrated.before} → {migrated.after}: {steps}" if steps else f"schema {migrated.after}: current"

    def _validate(self) -> str:
        from docproc import checks
        from docproc.checks.asking import run

        found = run(checks.Deployment(self._app), checks.every())
        bad = ("warn", "error") if self._wishes.strict else ("error",)
        wrong = [f"{result.check.id}: {result.finding.seen}" for result in found if result.level in bad]
        if wrong:
            what = f"{len(wrong)} of {len(found)} checks found something"
            raise FoundError("deploy.checks", what, why="; ".join(wrong))
        warnings = sum(result.level == "warn" for result in found)
        return f"{len(found)} checks, {warnings} warnings, no error"

    def _smoke(self) -> str:
        smoke = self._wishes.smoker.smoke(self._app.settings, self._expected)
        self._done.smoke = smoke
        _refuse(smoke, "the smoke is not what was expected")
        warnings = f", {len(smoke.differences)} warnings" if smoke.differences else ""
        return f"{smoke.said}{warnings}; removed without a trace"

    # ── back ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _go_back(self) -> None:
        done, before = self._done, self._done.schema[0]
        try:
            moved = migrations.version(self._app.database) != before
        except DatabaseError:
            # A transaction that did not come to its end is none; but whether it did, nobody can ask now.
            done.outcome = "stuck" if done.stopped_at not in ("rehearse", "back up") else "failed"
            return
        self._stop.signal = None  # it was for the deploy; the way back is short, and left only by a second one
        try:
            self._step("roll back", self._take_back)
            done.schema = (before, before)
            if moved and self._app.settings.deploy.way_back and self._install():
                self._step("way back", lambda: way_back.go(self._install()))
        except DocprocError as error:
            log.debug("the way back", exc_info=error)
            done.outcome = "stuck"
            return
        done.outcome = "rolled back" if moved else "failed"

    def _take_back(self) -> str:
        version = self._done.schema[0]
        return way_back.take_back(self._app.database, version=version, fingerprint=self._fingerprint)

    def _install(self) -> str:
        told, done = self._app.settings.deploy.way_back, self._done
        return way_back.install(told, schema=done.schema[0], previous=done.previous, version=__version__)

    def _open(self) -> None:
        """Writes into the history that this deploy is on its way, as soon as there is one."""
        if self._id is None:
            settings, seconds = self._app.settings, time.monotonic() - self._started
            self._id = self._history.begin(
                __version__, self._done.schema[0], settings.profile, settings.fingerprint, seconds=seconds
            )

    def _close(self) -> None:
        if self._id is not None:
            outcome = "failed" if self._done.outcome == "stuck" else self._done.outcome
            try:
                self._history.end(self._id, outcome, migrations.version(self._app.database), self._done.stopped_at)
            except DatabaseError:
                log.warning("the end of this deploy could not be recorded: the next one closes it")


def _refuse(smoke: Smoke, what: str) -> None:
    """Raises FoundError where a smoke has errors."""
    if smoke.errors:
        raise FoundError("deploy.smoke", what, why="; ".join(str(difference) for difference in smoke.errors[:5]))
