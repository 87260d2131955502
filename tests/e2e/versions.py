"""Another version of docproc: a copy of this one with a migration more, run as a process of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support import ROOT, Docproc

BREAKS_CHUNKS = """
CREATE FUNCTION docproc.refuse_chunks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'this version cannot write chunks';
END
$$;
CREATE TRIGGER refuse_chunks BEFORE INSERT ON docproc.document_chunk_buffer
  FOR EACH ROW EXECUTE FUNCTION docproc.refuse_chunks();
"""
MENDS_CHUNKS = """
DROP TRIGGER refuse_chunks ON docproc.document_chunk_buffer;
DROP FUNCTION docproc.refuse_chunks();
"""
HARMLESS = "COMMENT ON TABLE docproc.runs IS 'the receipts';"
HARMLESS_DOWN = "COMMENT ON TABLE docproc.runs IS NULL;"


def next_version(
    docproc: Docproc, folder: Path, up: str = HARMLESS, down: str = HARMLESS_DOWN, check: str = "", version: str = "9.9"
) -> Docproc:
    """A docproc ``version`` that has the migration ``up`` more, over the database and storage of ``docproc``."""
    for name in ("docproc", "mocks", "sql"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "docproc" / "__init__.py").write_text(f'"""docproc."""\n\n__version__ = "{version}"\n', "utf-8")
    number = max(int(file.name[:4]) for file in (folder / "sql").glob("*.up.sql")) + 1
    (folder / "sql" / f"{number:04}_more.up.sql").write_text(up, "utf-8")
    (folder / "sql" / f"{number:04}_more.down.sql").write_text(f"-- loses: nothing\n{down}", "utf-8")
    if check:
        (folder / "sql" / f"{number:04}_more.check.sql").write_text(check, "utf-8")
    return Docproc({**docproc.environ, "PYTHONPATH": str(folder)}, docproc.folder)
