"""init: a folder gets a docproc.toml and a recipe, whole or not at all, and nothing of its owner's is lost."""

from __future__ import annotations

import json
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from docproc import config
from docproc.errors import REMEDIES, ConfigError
from docproc.init import Recipe, RecipeName, recipes, settings_file, write
from tests.support import Docproc, bare_environment

OWN = "# of mine\n"


@pytest.fixture
def desk(tmp_path: Path) -> Docproc:
    """docproc of a user who has set nothing, in an empty folder."""
    (tmp_path / "desk").mkdir()
    return Docproc(bare_environment(), tmp_path / "desk")


def recipe(name: RecipeName) -> Recipe:
    """The recipe of that name."""
    return next(recipe for recipe in recipes() if recipe.name is name)


def contents(folder: Path) -> dict[str, str]:
    """Every file below ``folder`` with its text, drafts too."""
    return {str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()}


def test_a_folder_gets_the_settings_that_ship_and_they_hold_in_every_profile(desk: Docproc) -> None:
    said = desk.run("init")
    assert (said.returncode, said.stdout) == (0, "docproc.toml\twritten\n")
    assert said.stderr.startswith("next  docproc run-all")
    assert contents(desk.folder) == {"docproc.toml": settings_file().source.read_text("utf-8")}
    for profile in ("local", "staging", "production", "hybrid"):
        assert config.load(config=desk.folder / "docproc.toml", profile=profile, environ={}).profile == profile
    assert desk.run("validate-deploy", "--show-config").returncode == 0


@pytest.mark.parametrize("name", list(RecipeName))
def test_a_recipe_is_written_with_all_it_needs_into_a_new_folder(desk: Docproc, name: RecipeName) -> None:
    said = desk.run("init", "a/deep folder", "--recipe", name, "--json")
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    files = (*recipe(name).files, *recipe(name).beside)
    below = desk.folder / "a/deep folder"
    assert contents(below) == {file.place: file.source.read_text("utf-8") for file in files}
    assert {file["path"]: file["outcome"] for file in told["files"]} == {
        f"a/deep folder/{file.place}": "written" for file in files
    }
    assert told["next"] == list(recipe(name).then)
    assert {file.place: stat.S_IMODE((below / file.place).stat().st_mode) for file in files} == {
        file.place: file.mode for file in files
    }
    for file in files:  # secrets are nobody else's, scripts can be run
        assert file.mode == {".env": 0o600, ".sh": 0o755}.get(file.source.suffix, 0o644)


def test_what_is_there_is_not_written_over_and_nothing_else_is_written(desk: Docproc) -> None:
    (desk.folder / "docproc-cron.sh").write_text(OWN)
    said = desk.run("init", "--recipe", "cron", "--json")
    assert said.returncode == 2
    told = json.loads(said.stdout)
    assert (told["type"], told["code"]) == ("exit_error", "init.exists")
    assert "docproc-cron.sh: already there" in told["reason"]
    assert contents(desk.folder) == {"docproc-cron.sh": OWN}


def test_force_writes_over_the_recipe_and_leaves_no_trace_of_what_was_there(desk: Docproc) -> None:
    for name in ("docproc-cron.sh", "docproc.toml", "docproc.env"):
        (desk.folder / name).write_text(OWN)
    said = desk.run("init", "--recipe", "cron", "--force")
    assert said.returncode == 0, said.stderr
    assert dict(row.split("\t") for row in said.stdout.splitlines()) == {
        "docproc.crontab": "written",
        "docproc-cron.sh": "overwritten",
        "docproc.toml": "kept",
        "docproc.env": "kept",
    }
    now = contents(desk.folder)
    assert set(now) == {"docproc.crontab", "docproc-cron.sh", "docproc.toml", "docproc.env"}
    assert now["docproc-cron.sh"] != OWN
    assert (now["docproc.toml"], now["docproc.env"]) == (OWN, OWN)


def test_settings_are_written_over_only_when_they_alone_are_asked_for(desk: Docproc) -> None:
    (desk.folder / "docproc.toml").write_text(OWN)
    assert desk.run("init").returncode == 2
    assert contents(desk.folder) == {"docproc.toml": OWN}
    assert desk.run("init", "--force", "--quiet").stdout == ""
    assert contents(desk.folder)["docproc.toml"] == settings_file().source.read_text("utf-8")


def test_a_second_time_changes_nothing(desk: Docproc) -> None:
    assert desk.run("init", "--recipe", "systemd").returncode == 0
    before = {path: path.stat().st_mtime_ns for path in desk.folder.iterdir()}
    again = desk.run("init", "--recipe", "systemd")
    assert again.returncode == 0
    assert {row.partition("\t")[2] for row in again.stdout.splitlines()} == {"unchanged"}
    assert {path: path.stat().st_mtime_ns for path in desk.folder.iterdir()} == before


def test_a_full_disk_leaves_nothing_behind(desk: Docproc) -> None:
    """A limit on the size of files: the first fits, the second does not."""
    line = [sys.executable, "-m", "docproc", "init", "new/folder", "--recipe", "cron"]
    sizes = [file.source.stat().st_size for file in recipe(RecipeName.CRON).files]
    most = (sizes[0] + sizes[1]) // 2
    assert sizes[0] < most < sizes[1]
    done = subprocess.run(
        line,
        cwd=desk.folder,
        env=dict(desk.environ) | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )
    assert done.returncode == 1, done.stderr
    assert "[output.file]" in done.stderr
    assert list(desk.folder.iterdir()) == []


@pytest.mark.parametrize("force", [False, True])
def test_a_file_that_comes_meanwhile_is_kept_and_all_else_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    """Somebody else writes the second file between the look and the link."""
    link = Path.hardlink_to
    first = "docproc.crontab" if force else ""
    if first:
        (tmp_path / first).write_text(OWN)

    def crossed(self: Path, target: Path) -> None:
        if self.name == "docproc-cron.sh":
            self.write_text("of another\n")
        link(self, target)

    monkeypatch.setattr(Path, "hardlink_to", crossed)
    with pytest.raises(ConfigError, match="meanwhile") as caught:
        write(tmp_path, recipe(RecipeName.CRON), force=force)
    assert caught.value.remedy == REMEDIES["init.exists"]
    assert contents(tmp_path) == ({first: OWN} if first else {}) | {"docproc-cron.sh": "of another\n"}


def test_what_is_no_regular_file_is_never_replaced(desk: Docproc) -> None:
    (desk.folder / "docproc.toml").mkdir()
    (desk.folder / "Containerfile").symlink_to("nowhere")
    for words in (("--force",), ("--recipe", "container", "--force")):
        said = desk.run("init", *words)
        assert (said.returncode, "[init.exists]" in said.stderr) == (2, True)
    (desk.folder / "a file").write_text(OWN)
    assert "[output.file]" in desk.run("init", "a file").stderr
    assert contents(desk.folder) == {"a file": OWN}


def test_the_list_has_a_line_for_each_recipe_and_writes_nothing(desk: Docproc) -> None:
    said = desk.run("init", "--list")
    assert [row.split()[0] for row in said.stdout.splitlines()] == list(RecipeName)
    assert max(map(len, said.stdout.splitlines())) <= 80
    told = json.loads(desk.run("init", "--list", "--json").stdout)
    assert [one["name"] for one in told["recipes"]] == list(RecipeName)
    assert list(desk.folder.iterdir()) == []


def test_a_recipe_that_there_is_not_is_answered_with_those_that_there_are(desk: Docproc) -> None:
    said = desk.run("init", "--recipe", "kubernets")
    assert said.returncode == 2
    assert "[config.usage]" in said.stderr
    assert "kubernetes" in said.stderr
    assert list(desk.folder.iterdir()) == []
