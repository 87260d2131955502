"""Sessions for everything that is checked: ``nox`` runs tests, lint and types; ``nox --list`` shows the rest."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

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
def storages(session: nox.Session) -> None:
    """The end-to-end tests over a local folder, over Supabase Storage (the mock's) and over S3 (moto's)."""
    session.install("-e", ".[local,s3,dev]")
    for backend in ("local", "supabase", "s3"):
        session.run("pytest", "tests/e2e", *session.posargs, env={"DOCPROC_TEST_STORAGE": backend})


@nox.session
def dask(session: nox.Session) -> None:
    """Dask does the work: its own tests, and the full run through it."""
    session.install("-e", ".[local,dev,dask]")
    session.run("pytest", "-m", "", "tests/e2e/test_dask.py", *session.posargs)
    session.run("pytest", "tests/e2e/test_full_run.py", env={"DOCPROC_TEST_ON": "dask://"})


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


CONSTRAINTS = Path(".ci/constraints.txt")

ALONE = {"llama-parse"}
"""Extras that do not go together with the others: its client of the parser is an older one."""

LICENCES = re.compile(
    r"0BSD|Apache.*|BSD.*|CC0-1\.0|CNRI-Python|ISC.*|MIT( License|-0|-CMU)?|MPL-2\.0|Mozilla Public License 2\.0.*"
    r"|PSF.*|Python Software Foundation License|Zlib"
)
"""Licences that are no trouble to whoever uses docproc, under the names that packages give them."""

LICENSED = {
    "psycopg": "LGPL-3.0-only",
    "psycopg-binary": "LGPL-3.0-only",
    "psycopg-pool": "LGPL-3.0-only",
    "pyromark": "UNKNOWN",
}
"""Packages with another: LGPL asks nothing of a program that imports them unchanged; pyromark's file LICENSE is MIT."""


@nox.session
def constraints(session: nox.Session) -> None:
    """Writes .ci/constraints.txt: one version of every package, with the hashes of all its files and no address."""
    session.install("uv>=0.9")
    named = [word for extra in sorted(_together()) for word in ("--extra", extra)]
    alike = ["--universal", "--python-version", "3.11", "--generate-hashes", "--upgrade"]
    bare = ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    told = ["uv", "pip", "compile", "pyproject.toml", *named, *alike, *bare, "--quiet", "-o", str(CONSTRAINTS)]
    session.run(*told, *session.posargs)


def _together() -> set[str]:
    """The extras that can be installed beside one another."""
    return set(nox.project.load_toml("pyproject.toml")["project"]["optional-dependencies"]) - ALONE


@nox.session
def audit(session: nox.Session) -> None:
    """Known vulnerabilities of what .ci/constraints.txt names; fails where the advisory service gives no answer."""
    session.install("pip-audit>=2.9")
    told = Path(session.create_tmp()) / "audit.json"
    told.unlink(missing_ok=True)
    command = ["pip-audit", "-r", str(CONSTRAINTS), "--require-hashes", "--disable-pip", "-f", "json", "-o", str(told)]
    session.run(*command, *session.posargs, success_codes=[0, 1])
    if not told.is_file():
        session.error("the advisory service cannot be reached: NOTHING was audited")
    found = json.loads(told.read_text("utf-8"))["dependencies"]
    if wrong := _vulnerable(found):
        session.error("\n".join(wrong))
    session.log(f"{len(found)} packages, no known vulnerability")


def _vulnerable(found: list[dict[str, Any]]) -> list[str]:
    """What is wrong with pip-audit's ``found``: vulnerabilities, and packages of which the service knows nothing."""
    wrong = [
        f"{it['name']} {it['version']}: {bad['id']}, fixed in {', '.join(bad['fix_versions']) or 'no version'}"
        for it in found
        for bad in it.get("vulns", ())
    ]
    unknown = [it["name"] for it in found if "skip_reason" in it]
    if not found or len(unknown) == len(found):
        wrong.append("the advisory service knows none of the packages: NOTHING was audited")
    elif unknown:
        wrong.append(f"not audited: {', '.join(unknown)}")
    return wrong


@nox.session
def licences(session: nox.Session) -> None:
    """The licences of everything that docproc and its development bring; fails on one that is not in the list above."""
    extras = ",".join(sorted(_together()))
    session.install("-e", f".[{extras}]", "pip-licenses>=5")
    told = session.run("pip-licenses", "--from=mixed", "--format=json", silent=True)
    found = json.loads(str(told))
    if refused := _refused(found):
        session.error("\n".join(refused))
    session.log(f"{len(found)} packages, every licence is in the list")


def _refused(found: list[dict[str, str]]) -> list[str]:
    """The packages of pip-licenses' ``found`` whose licence is in neither list."""
    return [
        f"{it['Name']}: {licence}"
        for it in found
        if not _allowed(licence := it["License"].split("\n")[0]) and LICENSED.get(it["Name"].lower()) != licence
    ]


def _allowed(licence: str) -> bool:
    """Whether one of the licences that are offered has none but allowed parts; a ``;`` of classifiers joins parts."""
    offered = licence.strip("()").split(" OR ")
    return any(all(LICENCES.fullmatch(part.strip("() ")) for part in re.split(" AND |;", each)) for each in offered)


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
def tests_real(session: nox.Session) -> None:
    """Tests of real services, within the limits of docs/testing.md; costs some cents, and never more than $5."""
    _with_services(session, "real", "LLAMA_CLOUD_API_KEY", "OPENAI_API_KEY")


@nox.session
def tests_hybrid(session: nox.Session) -> None:
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
def ingest(session: nox.Session) -> None:
    """How long 100,000 small files take to come in, and again unchanged, beside the least that the work could cost."""
    session.install("-e", ".[local,dev]")
    session.run("python", "-m", "tests.performance.ingest", *session.posargs)


@nox.session
def recipes(session: nox.Session) -> None:
    """The recipes, by the schemas of Kubernetes too, which are too large for every run."""
    session.install("-e", ".[local,dev]", "kubernetes-validate>=1.31")
    session.run("pytest", "-n0", *(str(path) for path in Path("tests/unit").glob("test_recipes*.py")))


@nox.session
def shared_limit(session: nox.Session) -> None:
    """How three processes share one rate limit that the mock enforces; takes about ten minutes."""
    session.install("-e", ".[local,dev]")
    session.run("python", "-m", "tests.performance.shared_limit", *session.posargs)
