"""Sessions for everything that is checked: ``nox`` runs tests, lint and types; ``nox --list`` shows the rest."""

import os
import re
import shutil
from pathlib import Path

import nox

nox.options.sessions = ["tests", "lint", "types", "sql"]
nox.options.reuse_existing_virtualenvs = True


@nox.session
def tests(session: nox.Session) -> None:
    """The default suite: unit, integration and end to end, on mock services."""
    session.install("-e", ".[local,dev]")
    session.run("pytest", *session.posargs)


@nox.session
def long(session: nox.Session) -> None:
    """The rows of the long tables that the default suite leaves out."""
    session.install("-e", ".[local,dev]")
    session.run("pytest", "-m", "long", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, and which room may import which."""
    session.install("-e", ".[local,dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict."""
    session.install("-e", ".[local,dev]")
    session.run("mypy")


@nox.session
def sql(session: nox.Session) -> None:
    """The SQL: what would block a table for long or break running programs, and that the lint would find it."""
    session.install("-e", ".[local,dev]", "squawk-cli>=2.70,<3")
    session.run("python", "-m", "tests.sql_lint")
    session.run("pytest", "-n0", "tests/unit/test_migration_files.py", *session.posargs)


@nox.session(venv_backend="none")
@nox.parametrize("block", ["run", "test"])
def readme(session: nox.Session, block: str) -> None:
    """Runs the README's own commands, as they stand there, in a fresh clone."""
    clone = Path(session.create_tmp()) / f"clone of {block}"
    shutil.rmtree(clone, ignore_errors=True)
    session.run("git", "clone", "-q", ".", str(clone), external=True)
    text = (clone / "README.md").read_text("utf-8")
    found = re.search(rf"<!-- command: {block} -->\n```sh\n(.*?)```", text, re.S)
    assert found, f"README.md has no block marked {block}"
    with session.chdir(clone):
        session.run("sh", "-ec", found[1], external=True)


@nox.session
def wheel(session: nox.Session) -> None:
    """Builds the wheel, installs it elsewhere with the extra ``local``, and runs the pipeline outside the checkout."""
    session.install("build")
    elsewhere = Path(session.create_tmp()).resolve() / "elsewhere"
    shutil.rmtree(elsewhere, ignore_errors=True)
    documents = elsewhere / "some documents"
    shutil.copytree("fixtures/documents", documents)
    session.run("python", "-m", "build", "--wheel", "--outdir", str(elsewhere))
    (built,) = elsewhere.glob("*.whl")
    session.install("--force-reinstall", f"{built}[local]")
    with session.chdir(elsewhere):
        session.run("docproc", "run-all", "some documents")
        session.run("docproc", "validate-deploy")


@nox.session
def sdk_llama_cloud(session: nox.Session) -> None:
    """The parser's contract with the SDK of a plain install, llama-cloud 2 or later."""
    session.install("-e", ".[local,dev]")
    _check_parser_contract(session, "LlamaCloudParser")


@nox.session
def sdk_llama_parse(session: nox.Session) -> None:
    """The parser's contract with the SDK that llama-parse brings."""
    session.install("-e", ".[local,dev,llama-parse]")
    _check_parser_contract(session, "LlamaParseParser")


def _check_parser_contract(session: nox.Session, adapter: str) -> None:
    opened = "open_parser(Settings(), base_url=None, api_key='any')"
    imports = "from docproc.parsers import open_parser; from docproc.settings import Settings"
    session.run("python", "-c", f"{imports}; assert type({opened}).__name__ == {adapter!r}, {opened}")
    session.run("pytest", "tests/integration/parsers", *session.posargs)


@nox.session
def real(session: nox.Session) -> None:
    """Tests of real services, within the limits of docs/testing.md; costs some cents, and never more than $5."""
    _with_services(session, "real", "LLAMA_CLOUD_API_KEY", "OPENAI_API_KEY")


@nox.session
def hybrid(session: nox.Session) -> None:
    """The same with the mock parser and real embeddings; costs less than a cent."""
    _with_services(session, "hybrid", "OPENAI_API_KEY")


def _with_services(session: nox.Session, mode: str, *keys: str) -> None:
    if missing := [name for name in keys if not os.environ.get(name)]:
        session.error(f"set {' and '.join(missing)}: see docs/testing.md")
    session.install("-e", ".[local,dev]")
    # In one process: a test that meets a limit ends the session before the next one begins.
    session.run("pytest", "-n0", "tests/real/test_services.py", *session.posargs, env={"DOCPROC_TEST_SERVICES": mode})


@nox.session
def transition(session: nox.Session) -> None:
    """From mock to real and from local to deployed, in the long form: all tests of real services, on the mocks."""
    session.install("-e", ".[local,dev]")
    session.run("pytest", "-m", "", "tests/real", *session.posargs, env={"DOCPROC_TRANSITION": "long"})


@nox.session
def chaos(session: nox.Session) -> None:
    """Every test of disasters in its long form: a storm of 2,000 documents, death at every statement; and the rates."""
    session.install("-e", ".[local,dev]")
    session.run("pytest", "-n0", "-s", "-m", "", "tests/chaos", *session.posargs, env={"DOCPROC_CHAOS": "long"})
    if not session.posargs:
        session.run("python", "-m", "tests.chaos.rates")


@nox.session
def rates(session: nox.Session) -> None:
    """How many jobs a second eight processes claim and settle, with 1e5 and 1e6 pending."""
    session.install("-e", ".[local,dev]")
    session.run("python", "-m", "tests.chaos.rates", *session.posargs)


@nox.session
def retrieval(session: nox.Session) -> None:
    """How much of the right text each chunker lets a search find, and what it does to a document's structure."""
    session.install("-e", ".[local,dev]")
    session.run("python", "-m", "tests.performance.retrieval.retrieval", *session.posargs)
    session.run("python", "-m", "tests.performance.retrieval.structure", *session.posargs)


@nox.session
def compare(session: nox.Session) -> None:
    """Two chunkers side by side, into docs/compare.md; with arguments: ``docproc compare`` with them."""
    session.install("-e", ".[local,dev]")
    if session.posargs:
        session.run("docproc", "compare", *session.posargs)
    else:
        session.run("python", "-m", "tests.performance.compare")


@nox.session
def bench(session: nox.Session) -> None:
    """What a run costs, beside the least that the work could cost: docs/performance.md says how to read the table."""
    session.install("-e", ".[local,dev]")
    session.run("python", "-m", "tests.performance.bench", *session.posargs)


@nox.session
def shared_limit(session: nox.Session) -> None:
    """How three processes share one rate limit that the mock enforces; takes about ten minutes."""
    session.install("-e", ".[local,dev]")
    session.run("python", "-m", "tests.performance.shared_limit", *session.posargs)
