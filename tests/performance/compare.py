"""Compares two chunkers by the fixtures and the questions about them, and writes the report into docs/compare.md.

Run: python -m tests.performance.compare
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.performance.retrieval.questions import QUESTIONS
from tests.support import FIXTURES, ROOT, bare_environment

PAGE = ROOT / "docs" / "compare.md"
BEGIN, END = "<!-- report -->\n", "<!-- /report -->\n"

PROFILES = """
[profile.large.chunker]
name = "markdown-simple@1"
[profile.small.chunker]
name = "markdown-simple@1+max=200"
"""

BUILT = {
    "wind-farm": "wind-farm-handbook.pdf",
    "incident": "cooling-incident.pdf",
    "bicycle": "bicycle-workshop.pdf",
    "minutes": "water-board-minutes.docx",
    "bees": "beekeeping.pptx",
    "bakery": "bakery-costs.xlsx",
}
"""Which document is made from a text of another name."""


def report(folder: Path) -> str:
    """The report in Markdown; ``folder`` is empty and holds what the command reads and writes."""
    (folder / "docproc.toml").write_text(PROFILES, encoding="utf-8")
    documents = {path.stem: path.name for path in (FIXTURES / "documents").iterdir()} | BUILT
    asked = "".join(f"{question.words}\t{documents[question.document]}\n" for question in QUESTIONS)
    (folder / "questions.tsv").write_text(asked, encoding="utf-8")
    words = "--profile large --profile small --runs 3 --questions questions.tsv --markdown report.md"
    subprocess.run(
        [sys.executable, "-m", "docproc", "compare", str(FIXTURES / "documents"), *words.split()],
        cwd=folder,
        env=bare_environment(DOCPROC_MOCKS_PROCESSING_DELAY="0.2", DOCPROC_PARSER_FIRST_POLL="0.1"),
        check=True,
    )
    return (folder / "report.md").read_text("utf-8")


def main() -> None:
    """Replaces the report in the page."""
    with tempfile.TemporaryDirectory() as folder:
        made = re.sub(r"^#", "###", report(Path(folder)), flags=re.M).replace("####", "###")
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{made}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
