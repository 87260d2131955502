"""Every secret that docproc knows, as a canary: in no process that it starts, and in nothing that it writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from docproc.chunkers.workers import Worker
from docproc.config import ALIASES
from docproc.local import processes
from docproc.postgres.backup import libpq_environment
from docproc.settings import Secrets
from tests.e2e.documents import one_of_each
from tests.support import Docproc, bare_environment

KEYS = [field.name.upper() for field in fields(Secrets) if not field.name.endswith("_url")]
CANARIES = {name: f"Canary{n}Qz7Wx9Lm4" for n, name in enumerate([*KEYS, *(ALIASES[n] for n in ALIASES if "key" in n)])}


def found(place: str) -> set[str]:
    """The keys that stand in ``place``."""
    return {name for name, canary in CANARIES.items() if canary in place}


def environment_of(pid: int) -> str:
    """A process's environment, as the system tells it to whoever runs as the same user; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().replace(b"\0", b"\n").decode("utf-8", "replace")
    except OSError:
        return ""


needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has every key in its environment."""
    for name, canary in CANARIES.items():
        monkeypatch.setenv(name, canary)


@pytest.mark.usefixtures("keys")
def test_the_keys_are_there_to_be_found() -> None:
    assert len(KEYS) >= 6
    assert {"OPENAI_API_KEY", "LLAMA_CLOUD_API_KEY", "SUPABASE_SERVICE_ROLE_KEY", "AWS_SECRET_ACCESS_KEY"} <= set(KEYS)
    assert found("\n".join(os.environ.values())) == set(CANARIES)


@needs_proc
@pytest.mark.usefixtures("keys")
def test_a_process_that_chunks_has_no_key_in_its_environment() -> None:
    worker = Worker()
    try:
        told = environment_of(worker.pid)
        assert "PYTHONPATH=" in told
        assert found(told) == set()
    finally:
        worker.kill()


@pytest.mark.usefixtures("keys")
def test_the_programs_of_a_backup_have_the_database_s_password_and_no_key() -> None:
    told = libpq_environment("host=h user=u password=p dbname=d")
    assert (told["PGHOST"], told["PGPASSWORD"]) == ("h", "p")
    assert "PATH" in told
    assert found(str(told)) == set()


@pytest.mark.usefixtures("keys")
def test_a_server_that_docproc_starts_has_no_key_in_its_environment() -> None:
    assert found(str(processes.environment(MORE="1"))) == set()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Docproc]:
    """docproc with nothing but keys: it starts its own database and mocks."""
    folder = tmp_path / "desk"
    folder.mkdir()
    environ = bare_environment(
        DOCPROC_HOME=str(tmp_path / "home"),
        DOCPROC_MOCKS_PROCESSING_DELAY="0",
        DOCPROC_PARSER_FIRST_POLL="0.05",
        **CANARIES,
    )
    yield Docproc(environ, folder)


@needs_proc
def test_no_process_but_docproc_s_own_ever_has_a_key_and_no_file_has_one(desk: Docproc, tmp_path: Path) -> None:
    written = [tmp_path / name for name in ("receipt", "metrics", "log", "page.html", "baseline")]
    receipt, metrics, log, page, baseline = map(str, written)
    documents = str(one_of_each(tmp_path / "documents"))
    files = ["--receipt", receipt, "--metrics-file", metrics]
    running = desk.start("-vv", "--log-file", log, "run-all", *files, documents)
    with_keys, children = set(), set()
    while running.poll() is None:
        for path in Path("/proc").glob("[0-9]*"):
            told = environment_of(int(path.name))
            children |= {path.name} if str(tmp_path) in told or str(tmp_path) in arguments(path) else set()
            with_keys |= {path.name} if found(told) or found(arguments(path)) else set()
    out, err = running.communicate()
    assert running.returncode == 0, err
    assert with_keys <= {str(running.pid)}
    assert len(children) > 1, "no process of docproc's own was seen"
    said = [desk.run("status", "--html", page), desk.run("validate-deploy", "--write-baseline", baseline)]
    said += [desk.run("validate-deploy", "--show-config", "--json")]
    assert [one.returncode for one in said] == [0, 0, 0], said
    assert found(out + err + "".join(one.stdout + one.stderr for one in said)) == set()
    assert [file.name for file in written if found(file.read_text("utf-8"))] == []
    home = [file for file in (tmp_path / "home").rglob("*") if file.is_file()]
    assert len(home) > 100
    assert [file for file in home if found(file.read_bytes().decode("latin-1"))] == []


def arguments(process: Path) -> str:
    """A process's command line; empty when it has ended."""
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""
