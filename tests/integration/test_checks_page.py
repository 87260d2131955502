"""docs/validate-deploy.md names every check, what it asks and its remedy, as the code has them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from typer.main import get_command

from docproc import checks, cli
from tests.support import ROOT

PAGE = ROOT / "docs" / "validate-deploy.md"
HEAD = "| check | group | when not | asks | remedy |\n|---|---|---|---|---|\n"


def rows() -> Iterator[str]:
    for check in checks.every(data=True, paid=True):
        cells = (f"`{check.id}`", check.group, check.severity, check.asks, check.remedy)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def test_the_page_lists_every_check() -> None:
    table = HEAD + "".join(rows())
    page = PAGE.read_text("utf-8")
    if os.environ.get("DOCPROC_WRITE_PAGE"):
        page = page.partition(HEAD)[0] + table
        PAGE.write_text(page, "utf-8")
    assert page.endswith("\n" + table), f"run DOCPROC_WRITE_PAGE=1 pytest {__file__}"


def test_every_check_belongs_to_a_group_and_needs_only_checks_that_exist() -> None:
    every = checks.every(data=True, paid=True)
    ids = [check.id for check in every]
    assert len(ids) == len(set(ids))
    assert {check.group for check in every} == set(checks.GROUPS)
    assert {need for check in every for need in check.needs} <= set(ids)
    assert all(check.id.startswith(f"{check.group}.") for check in every)
    assert {check.severity for check in every} == {"warn", "error"}
    assert all(check.asks.endswith(("?", ".)")) and check.expected and check.remedy for check in every)


def test_every_option_of_the_command_is_explained() -> None:
    command = get_command(cli.app).commands["validate-deploy"]  # type: ignore[attr-defined]
    options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")} - {
        "--profile",
        "--config",
        "--help",
    }
    assert options
    assert options <= set(re.findall(r"^\| `(--[a-z-]+)", PAGE.read_text("utf-8"), re.M))
