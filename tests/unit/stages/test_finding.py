"""Holds the search for files to what is meant: paths, folders, globs, lists, and what is passed over."""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pytest

from docproc.errors import ConfigError
from docproc.stages.finding import Refused, Scan, find


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def make(*names: str, text: str = "text") -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")


def found(*paths: str, scan: Scan | None = None, stdin: bytes = b"", lists: Sequence[str] = ()) -> list[str]:
    """What was found, and of what was refused the code."""
    entries = find(paths, scan=scan, stdin=BytesIO(stdin), lists=[Path(name) for name in lists])
    return [entry.error.code if isinstance(entry, Refused) else os.fspath(entry) for entry in entries]


# ── paths, folders, globs ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_folder_gives_its_files_in_order_and_then_those_of_its_folders() -> None:
    make("docs/b.md", "docs/a.md", "docs/z/1.md", "docs/m/2.md", "docs/m/n/3.md")
    assert found("docs/") == ["docs/a.md", "docs/b.md", "docs/m/2.md", "docs/m/n/3.md", "docs/z/1.md"]


def test_the_working_directory_is_a_folder_like_others() -> None:
    make("b.md", "a/c.md")
    assert found(".") == ["b.md", "a/c.md"]


def test_a_name_with_the_letters_of_a_glob_is_the_file_where_there_is_one() -> None:
    make("report [1].md", "report 1.md")
    assert found("report [1].md") == ["report [1].md"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("docs/*.md", ["docs/a.md"]),
        ("docs/**/*.md", ["docs/a.md", "docs/m/b.md"]),
        ("*/*/b.md", ["docs/m/b.md"]),
        ("../*/docs/?.md", ["docs/a.md"]),
    ],
)
def test_a_glob_gives_the_files_that_match(folder: Path, pattern: str, names: list[str]) -> None:
    make("docs/a.md", "docs/m/b.md", "docs/c.txt")
    assert [os.path.relpath(name) for name in found(pattern)] == names
    if not pattern.startswith(".."):
        assert found(f"{folder}/{pattern}") == [f"{folder}/{name}" for name in names]


@pytest.mark.parametrize("name", ["none.md", "*.none", "none/**", "a\0b", "x" * 5000, "[", "**x/["])
def test_what_names_nothing_is_refused(name: str) -> None:
    (code,) = found(name)
    assert code in ("ingest.missing", "ingest.unreadable")


def test_links_to_folders_are_not_followed_and_one_that_leads_round_is_left_to_the_reader() -> None:
    make("docs/a.md", "other/b.md")
    Path("docs/folder").symlink_to("../other")
    Path("docs/round.md").symlink_to("round.md")
    assert found("docs") == ["docs/a.md", "docs/round.md"]
    Path("named").symlink_to("docs")
    assert found("named") == ["named/a.md", "named/round.md"]


# ── lists ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        b"a.md\n\n# b.md\n  \n",
        b"a.md\r\n# b.md\r\n\r\n",
        b"\xef\xbb\xbfa.md\n# b.md",
        b"a.md\0# b.md\0",
        b"a.md\0\0# b.md",
    ],
)
def test_a_list_has_a_path_a_line_or_each_ended_by_nul(text: bytes) -> None:
    make("a.md", "# b.md")
    Path("list").write_bytes(text)
    assert found(lists=["list"]) == ["a.md", "# b.md"]
    assert found("-", stdin=text) == ["a.md", "# b.md"]


def test_a_list_with_nul_may_name_files_with_line_ends_and_odd_bytes() -> None:
    names = ["two\nlines.md", " blank .md\r", os.fsdecode(b"caf\xe9.md"), "-"]
    make(*names)
    assert found("-", stdin=b"\0".join(os.fsencode(name) for name in names)) == names


def test_a_list_longer_than_a_block_loses_no_path() -> None:
    make(*(f"{'long' * 20}/{n:04}.md" for n in range(1500)))
    names = [f"{'long' * 20}/{n:04}.md" for n in range(1500)]
    for end in ("\n", "\r\n", "\0"):
        assert found("-", stdin="".join(name + end for name in names).encode()) == names


def test_a_list_may_name_folders_globs_and_nothing() -> None:
    make("docs/a.md", "b.txt")
    assert found("-", stdin=b"docs\n*.txt\nnone.md\n") == ["docs/a.md", "b.txt", "ingest.missing"]


def test_an_empty_list_names_nothing() -> None:
    make("list", text="")
    assert found("-", lists=["list"]) == []


def test_paths_come_before_lists() -> None:
    make("a.md", "b.md", "c.md")
    make("list", text="c.md")
    assert found("b.md", "-", lists=["list"], stdin=b"a.md") == ["b.md", "a.md", "c.md"]


def test_a_list_may_be_a_pipe() -> None:
    make("a.md")
    reading, writing = os.pipe()
    os.write(writing, b"a.md\n")
    os.close(writing)
    try:
        assert found(lists=[f"/dev/fd/{reading}"]) == ["a.md"]
    finally:
        os.close(reading)


@pytest.mark.parametrize("name", ["none", "docs"])
def test_a_list_that_is_not_there_is_wrong_usage_before_anything_is_found(name: str) -> None:
    make("docs/a.md")
    with pytest.raises(ConfigError) as caught:
        find(["docs"], lists=[Path(name)])
    assert caught.value.code == "config.usage"
    assert name in caught.value.what


# ── what is passed over ─────────────────────────────────────────────────────────────────────────────────────────────

LITTER = [
    *(".DS_Store", "Thumbs.db", "thumbs.db", "desktop.ini", "~$letter.docx", ".~lock.table.xlsx#", "a.tmp", "A.TMP"),
    *("b.md.part", "c.pdf.crdownload", ".hidden.md", "._apple.md", "__MACOSX/a.md", ".git/a.md", "deep/.cache/x/a.md"),
]


@pytest.mark.parametrize("name", LITTER)
def test_the_litter_of_systems_is_passed_over_but_not_when_it_is_named(name: str) -> None:
    make(f"docs/{name}", "docs/good.md")
    assert found("docs") == ["docs/good.md"]
    assert found("docs/**/*") == ["docs/good.md"]
    assert found(f"docs/{name}") == [f"docs/{name}"]
    assert found("-", stdin=f"docs/{name}".encode()) == [f"docs/{name}"]


def test_a_glob_whose_matches_are_all_passed_over_says_so() -> None:
    make("a.tmp")
    (refused,) = find(["*.tmp"])
    assert isinstance(refused, Refused)
    assert refused.error.why == "its matches are passed over"


def test_litter_cannot_be_brought_back_by_a_pattern() -> None:
    make("docs/._a.md", "docs/a.md", "docs/a.txt")
    make("docs/.docprocignore", text="*\n!*.md\n")
    assert found("docs") == ["docs/a.md"]


# What git passes over with the same patterns, as it told for each of these.
TREE = ["a.md", "a.txt", "b/a.md", "b/c/a.md", "b/c/x.log", "drafts/a.md", "b/drafts/a.md", "[a].md", "b/a b.md"]
PATTERNS = [
    (["*.md"], ["a.txt", "b/c/x.log"]),
    (["a.md"], ["a.txt", "[a].md", "b/a b.md", "b/c/x.log"]),
    (["/a.md"], [name for name in TREE if name != "a.md"]),
    (["drafts"], [name for name in TREE if "drafts" not in name]),
    (["drafts/"], [name for name in TREE if "drafts" not in name]),
    (["/drafts/"], [name for name in TREE if not name.startswith("drafts")]),
    (["a.md/"], TREE),
    (["b/*"], [name for name in TREE if not name.startswith("b/")]),
    (["b/*.md"], [name for name in TREE if name not in ("b/a.md", "b/a b.md")]),
    (["b/**/a.md"], [n for n in TREE if n not in ("b/a.md", "b/c/a.md", "b/drafts/a.md")]),
    (["**/c"], [name for name in TREE if "/c/" not in name]),
    (["b/**"], [name for name in TREE if not name.startswith("b/")]),
    (["*", "!*/", "!*.log"], ["b/c/x.log"]),
    (["*.md", "!b/a.md"], ["a.txt", "b/a.md", "b/c/x.log"]),
    (["b/", "!b/a.md"], [name for name in TREE if not name.startswith("b/")]),
    (["\\[a\\].md"], [name for name in TREE if name != "[a].md"]),
    (["[a-b].md"], ["a.txt", "[a].md", "b/a b.md", "b/c/x.log"]),
    (["?.[!m]*"], [name for name in TREE if name not in ("a.txt", "b/c/x.log")]),
    (["*.[[:alpha:]]og", "# *.md", "", "a b.md  "], [n for n in TREE if n not in ("b/c/x.log", "b/a b.md")]),
    (["[a.md", "\\", "!", "/", "[z-y].md", "[[:none:]]*"], TREE),
]


@pytest.mark.parametrize(("patterns", "names"), PATTERNS, ids=lambda value: " ".join(value)[:40])
def test_patterns_mean_what_they_mean_to_git(folder: Path, patterns: list[str], names: list[str]) -> None:
    make(*(f"docs/{name}" for name in TREE))
    expected = sorted(f"docs/{name}" for name in names)
    assert sorted(found("docs", scan=Scan(patterns))) == expected
    make("docs/.docprocignore", text="\r\n".join(patterns) + "\r\n")
    scan = Scan()
    assert sorted(found("docs", scan=scan)) == expected
    assert sorted(f"docs/{name}" for name in TREE if not scan.ignored(folder / "docs" / name)) == expected


def test_the_ignore_file_that_is_nearer_wins_and_holds_only_below() -> None:
    make("docs/a.log", "docs/keep/a.log", "docs/keep/b.md", "docs/other/b.md")
    make("docs/.docprocignore", text="*.log\n")
    make("docs/keep/.docprocignore", text="!*.log\n/b.md\n")
    assert found("docs") == ["docs/keep/a.log", "docs/other/b.md"]
    assert found("docs/**/*.*") == ["docs/keep/a.log", "docs/other/b.md"]


def test_a_file_wins_over_the_settings() -> None:
    make("docs/a.md", "docs/b.md")
    make("docs/.docprocignore", text="!a.md\n")
    assert found("docs", scan=Scan(["*.md"])) == ["docs/a.md"]


def test_the_rules_hold_below_the_fixed_part_of_a_glob() -> None:
    make(".hidden/a.md", ".hidden/.b.md")
    make(".docprocignore", text="a.md\n")
    assert found(".hidden/*.md") == [".hidden/a.md"]


def test_an_ignore_file_that_cannot_be_read_keeps_its_folder_out(folder: Path) -> None:
    make("docs/a.md", "docs/private/b.md", "docs/z/c.md")
    (folder / "docs/private/.docprocignore").symlink_to("/dev/zero")
    scan = Scan()
    assert found("docs", scan=scan) == ["docs/a.md", "ingest.unreadable", "docs/z/c.md"]
    assert not scan.complete


# ── how far the search went ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_search_that_saw_everything_is_complete(folder: Path) -> None:
    make("docs/a.md", "more/b.md")
    (folder / "docs/out.md").symlink_to("/etc/hostname")
    scan = Scan()
    assert found("docs", "more/b.md", f"{folder}/more", scan=scan) == [
        *("docs/a.md", "ingest.outside", "more/b.md", f"{folder}/more/b.md")
    ]
    assert scan.complete
    assert scan.roots == [folder / "docs", folder / "more"]


def test_a_search_that_is_not_over_is_not_complete() -> None:
    make("docs/a.md", "docs/b.md")
    scan = Scan()
    entries = find(["docs"], scan=scan)
    assert next(entries) == Path("docs/a.md")
    assert not scan.complete
    assert list(entries) == [Path("docs/b.md")]
    assert scan.complete


@pytest.mark.parametrize("name", ["gone", "*.none"])
def test_a_search_in_which_something_was_missing_is_not_complete(name: str) -> None:
    make("docs/a.md")
    scan = Scan()
    assert found("docs", name, scan=scan) == ["docs/a.md", "ingest.missing"]
    assert not scan.complete


def test_a_folder_that_goes_while_it_is_searched_makes_the_search_incomplete() -> None:
    make("docs/a.md", "docs/b/c.md")
    scan = Scan()
    entries = find(["docs"], scan=scan)
    assert next(entries) == Path("docs/a.md")
    Path("docs/b/c.md").unlink()
    Path("docs/b").rmdir()
    (refused,) = entries
    assert isinstance(refused, Refused)
    assert refused.error.code == "ingest.missing"
    assert not scan.complete


def test_only_what_every_root_passes_over_is_ignored(folder: Path) -> None:
    make("docs/.drafts/a.md", "docs/.drafts/b.tmp", "docs/ab.md")
    scan = Scan(["ab.md"])
    list(find(["docs", "docs/.drafts"], scan=scan))
    told = {name: scan.ignored(folder / name) for name in ("docs/.drafts/a.md", "docs/.drafts/b.tmp", "docs/ab.md")}
    assert told == {"docs/.drafts/a.md": False, "docs/.drafts/b.tmp": True, "docs/ab.md": True}
    assert not scan.ignored(folder / "docsx/.a.md")
    assert not scan.ignored(folder / "docs")
