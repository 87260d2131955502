"""The commands that set up, check and compare environments: validate-deploy, migrate, deploy and compare."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from docproc.cli.funnel import SETUP, app
from docproc.cli.options import Config, Json, Profile, Quiet, opened
from docproc.errors import Exit


class FailOn(StrEnum):
    """From which level on a finding is a problem."""

    WARN = "warn"
    ERROR = "error"


_Checks = Annotated[list[str] | None, typer.Option(help="A check's id or a group; may be given again.")]


@app.command("validate-deploy", rich_help_panel=SETUP)
def validate_deploy(
    only: _Checks = None,
    skip: _Checks = None,
    data: Annotated[bool, typer.Option("--data", help="Check every row of the data too.")] = False,
    paid: Annotated[bool, typer.Option("--paid", help="Buy one page and one token, to see that both come.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nobody but the database.")] = False,
    show_config: Annotated[bool, typer.Option("--show-config", help="Only show all settings with origins.")] = False,
    write_baseline: Annotated[Path | None, typer.Option(help="Write this environment to a file.")] = None,
    baseline: Annotated[Path | None, typer.Option(help="Say what differs from the one in this file.")] = None,
    against: Annotated[str | None, typer.Option(help="Say what differs from this profile.")] = None,
    results: Annotated[
        bool, typer.Option("--results", help="Take documents through, compare what they become, remove them.")
    ] = False,
    samples: Annotated[Path | None, typer.Option(help="Samples for --results in place of the canary.")] = None,
    performance: Annotated[
        bool, typer.Option("--performance", help="Run a reference batch several times, compare the pace, remove it.")
    ] = False,
    fail_on: Annotated[FailOn, typer.Option(help="From which level on the exit code is 6.")] = FailOn.ERROR,
    profile: Profile = None,
    file: Config = None,
    json: Json = False,
    quiet: Quiet = False,  # noqa: ARG001 - the funnel holds back what is said
) -> None:
    """Check the environment before it is used; reads only, unless an option says more. Exit 6: something is wrong.

    Examples: docproc validate-deploy --profile production     docproc validate-deploy --only schema --skip database.tls
    """
    from docproc import checks
    from docproc.checks.asking import run
    from docproc.cli.drift import Drift
    from docproc.smoke import Smoker
    from docproc.views.checks import show_results
    from docproc.views.drift import show_configuration

    with opened(profile, file) as it:
        smoker = Smoker(samples) if results else None
        drift = Drift.told(
            *(baseline, against, write_baseline), of=it.settings, toml=file, smoker=smoker, performance=performance
        )
        if show_config:
            show_configuration(it.settings, json=json)
            return
        named = drift.checks(only or ())
        every = checks.every(data=data, paid=paid) if named is not None else ()
        asked = checks.chosen(every, only=named or (), skip=skip or ())
        found = run(checks.Deployment(it, offline=offline), asked)
        now, measured = drift.observe(it), drift.measure(it.settings)
        compared = drift.compare(now, measured, it.settings)
    # What was asked only because another check needs it is shown where it explains why that one was skipped.
    shown = [result for result in found if checks.wanted(result.check, named or ()) or result.level == "error"]
    show_results(shown, json=json, drift=compared)
    drift.write(now, measured, well=all(result.level != "error" for result in shown))
    levels = {result.level for result in shown} | {it.severity for one in compared for it in one.differences}
    if levels & ({"error"} if fail_on is FailOn.ERROR else {"warn", "error"}):
        raise typer.Exit(Exit.PROBLEMS)


@app.command(rich_help_panel=SETUP)
def migrate(
    to: Annotated[
        int | None, typer.Option("--to", help="The schema version to go to, back too; 0 takes all away.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only say what is pending: exit 13 when something is.")
    ] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Only print the SQL, for psql; the database is read.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Only compare schema and data with the shipped.")] = False,
    lose_data: Annotated[bool, typer.Option("--lose-data", help="Go back even where rows are lost.")] = False,
    lock_timeout: Annotated[float, typer.Option(min=0.001, help="Seconds to wait for a table that is in use.")] = 5.0,
    profile: Profile = None,
    file: Config = None,
    json: Json = False,
    quiet: Quiet = False,  # noqa: ARG001 - the funnel holds back what is said
) -> None:
    """Bring the database's schema to this version of docproc, whole and checked or not at all.

    Examples: docproc migrate --check     docproc migrate --sql > up.sql     docproc migrate --to 2
    """
    from docproc.errors import ConfigError
    from docproc.postgres import migrations
    from docproc.views import migrate as views

    if sum((check, sql, verify)) > 1:
        raise ConfigError("config.invalid", "--check, --sql and --verify are three different questions")
    code, limits = Exit.OK, migrations.Limits(lock=lock_timeout)
    with opened(profile, file) as it:
        if sql:
            typer.echo(migrations.written(it.database, to=to, lose_data=lose_data, limits=limits), nl=False)
        elif check:
            plan = migrations.pending(it.database, to=to)
            views.show_plan(plan, json=json)
            code = Exit.SCHEMA if plan.steps or plan.builds else Exit.OK
        elif verify:
            found = migrations.verify(it.database, limits=limits)
            views.show_verified(found, json=json)
            code = Exit.OK if found.is_whole else Exit.PROBLEMS
        else:
            done = migrations.migrate(it.database, to=to, lose_data=lose_data, limits=limits)
            views.show_migrated(done, json=json)
            code = Exit.SCHEMA if done.pending else Exit.OK
    if code:
        raise typer.Exit(code)


@app.command(rich_help_panel=SETUP)
def deploy(
    smoke_only: Annotated[bool, typer.Option("--smoke-only", help="Only take samples through, and compare.")] = False,
    backup: Annotated[Path | None, typer.Option("--backup", help="Write a pg_dump here first.")] = None,
    samples: Annotated[
        Path | None, typer.Option("--samples", help="A folder of samples, in place of the canary.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds that the samples may take.")] = 300.0,
    rehearse: Annotated[bool, typer.Option(help="Take the samples through the profile local first.")] = True,
    fail_on: Annotated[FailOn, typer.Option(help="From which level on a check stops it.")] = FailOn.ERROR,
    profile: Profile = None,
    file: Config = None,
    json: Json = False,
    quiet: Quiet = False,  # noqa: ARG001 - the funnel holds back what is said
) -> None:
    """Rehearse, back up, migrate, check, try out; whatever fails is taken back. Exit 6 when something is wrong.

    Examples: docproc deploy --profile production --backup before.dump    docproc deploy --smoke-only --samples samples/
    """
    from docproc.deploy import Wishes
    from docproc.deploy.steps import deploy as run
    from docproc.smoke import Smoker
    from docproc.views import deploy as views

    smoker = Smoker(samples, timeout)
    with opened(profile, file) as it:
        if smoke_only:
            smoke = smoker.smoke(it.settings, smoker.rehearse(it.settings) if rehearse else None)
            views.show_smoke(smoke, json=json)
            code = Exit.PROBLEMS if smoke.errors else Exit.OK
        else:
            wishes = Wishes(smoker, backup, rehearse, strict=fail_on is FailOn.WARN)
            done = run(it, wishes, on_step=views.telling(json=json))
            views.show_deployed(done, json=json)
            code = done.exit_code
    if code:
        raise typer.Exit(int(code))


@app.command(rich_help_panel=SETUP)
def compare(
    paths: Annotated[list[str], typer.Argument(help="Files, folders, quoted globs: the documents that all take.")],
    profile: Annotated[list[str], typer.Option(help="A variant; the others are compared with the first.")],
    questions: Annotated[
        Path | None, typer.Option(help="Lines of a question, a tab, and the document that answers it.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, max=100, help="How often each is run, in turn; times are medians.")] = 1,
    max_usd: Annotated[float, typer.Option(min=0.0, help="Nothing is begun that may cost more.")] = 1.0,
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds that a run may take.")] = 300.0,
    fail_on: Annotated[FailOn | None, typer.Option(help="From which difference on the exit code is 6.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write the report to this file.")] = None,
    file: Config = None,
    json: Json = False,
    quiet: Quiet = False,  # noqa: ARG001 - the funnel holds back what is said
) -> None:
    """Take the same documents through two or more profiles, each in a database of its own, and compare.

    Examples: docproc compare samples/ --profile local --profile staging --fail-on error
    docproc compare samples/ --profile small --profile large --runs 3
    """
    from docproc.compare import bounds, running, variants
    from docproc.redaction import learn_secrets
    from docproc.trials.taking import samples_in
    from docproc.views import compare as views
    from docproc.views.files import refuse_unwritable, write_whole

    refuse_unwritable("--markdown", markdown)
    chosen = variants.variants(profile, file=file)
    for variant in chosen:
        learn_secrets(variant.settings.secrets)
    samples = samples_in(paths)
    asked = running.questions_in(questions, samples) if questions else ()
    told = bounds.bounds(chosen, samples, asked, runs)
    bounds.refuse_dear(told, max_usd)
    views.show_bounds(told)
    compared = running.compare(chosen, samples, questions=asked, runs=runs, timeout=timeout, told=views.show_run)
    views.show_comparison(compared, json=json)
    if markdown is not None:
        write_whole(views.markdown(compared), markdown)
    code = compared.exit_code(fail_on)
    if code:
        raise typer.Exit(code)
