"""Gives a folder what docproc needs to begin there: a docproc.toml, and recipes for those who run it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from docproc.errors import ConfigError, DocprocError

RECIPES = Path(__file__).parent / "recipes"
"""The recipe files as they ship."""


class RecipeName(StrEnum):
    """What can run docproc, or give it what it needs."""

    CRON = "cron"
    SYSTEMD = "systemd"
    GITHUB = "github"
    KUBERNETES = "kubernetes"
    CONTAINER = "container"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True)
class File:
    """A file to write: where it stands among the recipes, its place below the folder, and its mode."""

    source: Path
    place: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to run docproc.

    ``files`` are its own; ``beside`` are settings that it needs and that are the user's once they are there. ``then``
    is what to do next, a line each.
    """

    name: RecipeName
    summary: str
    files: tuple[File, ...]
    beside: tuple[File, ...]
    then: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a file: ``outcome`` is written, overwritten, unchanged (it was the same) or kept (the user's)."""

    path: Path
    outcome: str


def settings_file() -> File:
    """The docproc.toml that ships: inside the package when installed from a wheel, beside it in a checkout."""
    from docproc.config import FILE_NAME

    package = Path(__file__).parent
    inside = package / FILE_NAME
    return File(inside if inside.is_file() else package.parent / FILE_NAME, FILE_NAME)


def recipes() -> list[Recipe]:
    """Every recipe, in the order in which they are listed."""
    toml, env = settings_file(), _file("environment/docproc.env", mode=0o600)
    return [*_on_hosts(toml, env), *_elsewhere(toml, env)]


def _on_hosts(toml: File, env: File) -> list[Recipe]:
    return [
        Recipe(
            RecipeName.CRON,
            "a crontab, and a script that has only trouble mailed",
            (_file("cron/docproc.crontab"), _file("cron/docproc-cron.sh", mode=0o755)),
            (toml, env),
            ("fill in docproc.env", "docproc validate-deploy --profile production", "crontab docproc.crontab"),
        ),
        Recipe(
            RecipeName.SYSTEMD,
            "a hardened service, its timer, and who is told when it fails",
            (
                _file("systemd/docproc.service"),
                _file("systemd/docproc.timer"),
                _file("systemd/docproc-failed@.service"),
                _file("systemd/docproc-failed.sh", mode=0o755),
            ),
            (toml,),
            ("install the files as docproc.service says", "systemctl enable --now docproc.timer"),
        ),
    ]


def _elsewhere(toml: File, env: File) -> list[Recipe]:
    return [
        Recipe(
            RecipeName.GITHUB,
            "a workflow: pull requests with mocks, production by night",
            (_file("github/docproc.yml", place=".github/workflows/docproc.yml"),),
            (toml,),
            ("add the secrets that the workflow names to the repository", "put documents into documents/"),
        ),
        Recipe(
            RecipeName.KUBERNETES,
            "a CronJob, and workers beside it",
            (_file("kubernetes/docproc.yaml"), _file("kubernetes/docproc-workers.yaml")),
            (toml, env),
            ("fill in docproc.env", "make the Secret and the ConfigMap as docproc.yaml says"),
        ),
        Recipe(
            RecipeName.CONTAINER,
            "an image with docproc in it",
            (_file("container/Containerfile"),),
            (toml,),
            ("podman build -t docproc:local .",),
        ),
        Recipe(
            RecipeName.ENVIRONMENT,
            "Postgres behind a pooler: both addresses, and the secrets",
            (env, _file("environment/docproc-direct.env", mode=0o600)),
            (toml,),
            ("fill in both files", "docproc validate-deploy --profile production"),
        ),
    ]


def write(folder: Path, recipe: Recipe | None = None, *, force: bool = False) -> list[Written]:
    """Writes docproc.toml, or the files of ``recipe``, below ``folder``: all of them or none.

    The folder is made when it is not there. A file that is there with other content is an error, ConfigError
    ``init.exists``, unless ``force``; what a recipe has ``beside`` it is kept as it is. A folder or a special file in
    the way is always an error. Raises DocprocError ``output.file`` where nothing can be written.
    """
    own = (settings_file(),) if recipe is None else recipe.files
    plan = [_planned(folder, file, force=force) for file in own]
    plan += [_planned(folder, file, keep=True) for file in (recipe.beside if recipe else ())]
    taken = [str(path) for _, path, outcome in plan if outcome == "exists"]
    if taken:
        known = "--force writes over it" if len(taken) == 1 else "--force writes over them"
        raise ConfigError("init.exists", f"{', '.join(taken)}: already there, and not as shipped", try_=known)
    todo = [(file, path) for file, path, outcome in plan if outcome in ("written", "overwritten")]
    try:
        _place(todo, force=force)
    except FileExistsError as error:
        raise ConfigError("init.exists", f"{error.filename2 or error.filename}: came to be meanwhile") from None
    except OSError as error:
        raise DocprocError("output.file", f"{folder} was not written to", why=error.strerror or str(error)) from None
    return [Written(path, outcome) for _, path, outcome in plan]


def _file(source: str, *, place: str = "", mode: int = 0o644) -> File:
    path = RECIPES / source
    return File(path, place or path.name, mode)


def _planned(folder: Path, file: File, *, force: bool = False, keep: bool = False) -> tuple[File, Path, str]:
    """The file, its place, and what is to become of it."""
    path = folder / file.place
    if not os.path.lexists(path):
        return file, path, "written"
    if not path.is_file():
        raise ConfigError("init.exists", f"{path} is in the way, and no regular file", try_="name another folder")
    try:
        same = path.read_bytes() == file.source.read_bytes()
    except OSError as error:
        raise DocprocError("output.file", f"{path} cannot be read", why=error.strerror or str(error)) from None
    if same:
        return file, path, "unchanged"
    return file, path, "kept" if keep else "overwritten" if force else "exists"


def _place(files: list[tuple[File, Path]], *, force: bool) -> None:
    """Writes drafts, then puts them into their places; whatever stops it, what was done until then is undone."""
    left: list[Path] = []
    with ExitStack() as undo:
        ready = [(_draft(file, path, undo), path) for file, path in files]
        left += [draft for draft, _ in ready]
        for draft, path in ready:
            if force and path.is_file():
                left.append(_set_aside(path, undo))
            # A link, unlike a rename, refuses to take the place of a file that came meanwhile.
            path.hardlink_to(draft)
            undo.callback(path.unlink)
        undo.pop_all()
    for path in left:
        path.unlink()


def _draft(file: File, path: Path, undo: ExitStack) -> Path:
    """Writes ``file`` beside its place, under a name of its own."""
    for missing in reversed([folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]):
        missing.mkdir()
        undo.callback(missing.rmdir)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    # A secret must never be readable for others, not even for a moment.
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    undo.callback(draft.unlink)
    with os.fdopen(handle, "wb") as opened:
        opened.write(file.source.read_bytes())
        os.fchmod(handle, file.mode)
    return draft


def _set_aside(path: Path, undo: ExitStack) -> Path:
    aside = path.with_name(f".{path.name}.{os.getpid()}.before")
    path.rename(aside)
    undo.callback(aside.rename, path)
    return aside
