"""The documentation says what the code does: keys, defaults, error codes, commands."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields

from typer.main import get_command

from docproc import cli, errors, settings
from docproc.errors import REMEDIES, Exit
from tests.support import ROOT


def settings_table() -> Iterator[str]:
    """The rows of docs/configuration.md, from the dataclasses and the comments beside their fields."""
    yield "| `user` | `default` | whose documents these are |"
    for section in settings.SECTIONS:
        kind = type(getattr(settings.Settings(), section))
        for f in fields(kind):
            found = re.search(rf"^    {f.name}: .*?(?:  # (.*))?$", inspect.getsource(kind), re.M)
            assert found is not None and found[1], f"{section}.{f.name} has no comment that says what it is"
            default = f.default if f.default_factory is MISSING else f.default_factory()
            if isinstance(default, dict):
                default = ";".join(f"{name}={value:g}" for name, value in default.items())
            shown = "–" if default in ("", ()) else default
            yield f"| `{section}.{f.name}` | `{shown}` | {found[1]} |"


def test_every_setting_stands_in_the_configuration_page_with_its_default_and_meaning() -> None:
    table = "| key | default | |\n|---|---|---|\n" + "\n".join(settings_table()) + "\n"
    assert table in (ROOT / "docs/configuration.md").read_text("utf-8")


def test_every_error_code_stands_in_the_page_of_codes_with_its_remedy() -> None:
    page = (ROOT / "docs/exit-codes.md").read_text("utf-8")
    documented = dict(re.findall(r"^\| `([a-z_.]+)` \| (.*) \|$", page, re.M))
    assert documented == REMEDIES


def test_every_exit_code_stands_in_the_page_of_codes() -> None:
    page = (ROOT / "docs/exit-codes.md").read_text("utf-8")
    documented = {int(code) for row in re.findall(r"^\| ([0-9, ]+) \|", page, re.M) for code in row.split(",")}
    assert documented == {int(code) for code in Exit}


def test_every_code_that_is_raised_has_a_remedy() -> None:
    raised = set()
    for path in (ROOT / "docproc").rglob("*.py"):
        raised |= set(re.findall(r'Error\(\s*"([a-z]+\.[a-z_]+)"', path.read_text("utf-8")))
    assert raised
    assert raised <= set(REMEDIES)


def test_every_remedy_belongs_to_a_code_that_can_be_raised() -> None:
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "docproc").rglob("*.py"))
    sources = sources.replace(inspect.getsource(errors).partition("REMEDIES: ")[2], "")
    assert {code for code in REMEDIES if f'"{code}"' not in sources} == set()


def test_every_command_stands_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    commands = get_command(cli.app).commands  # type: ignore[attr-defined]
    assert {name for name in commands if f"`{name}`" not in readme and f"docproc {name}" not in readme} == set()
