"""Holds docproc's token counts equal to tiktoken's own, without a network."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import tiktoken
import tiktoken.load
from hypothesis import given, settings
from hypothesis import strategies as st

import docproc
from docproc import tokens

ROOT = Path(docproc.__file__).parent.parent
CACHE_NAME = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
"""Under which tiktoken keeps the vocabulary: the SHA-1 of the address that it is downloaded from."""

WORDS = ["'s", "'LL", "don't", "\u017f", "\u212a", "123", "1234", "\u0663", "\u00b2", "e\u0301", "_", "##", "|", "漢字"]
SPACES = ["  ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\x00", "\x1c", "\x85", "\u200b", "\ufeff"]
PIECES = [*WORDS, *SPACES, "\U0001f469\u200d\U0001f467", "<|endoftext|>"]
"""What the pattern treats in a way of its own, or nearly so."""

texts = st.one_of(st.text(), st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5))).map("".join))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tiktoken.Encoding:
    """tiktoken's cl100k_base, from docproc's vocabulary, whose hash tiktoken checks itself."""
    folder = tmp_path_factory.mktemp("vocabulary")
    shutil.copy(tokens.VOCABULARY, folder / CACHE_NAME)

    def refuse(address: str) -> bytes:
        raise AssertionError(f"tiktoken wants to download {address}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
        patch.setattr(tiktoken.load, "read_file", refuse)
        return tiktoken.Encoding(**import_module("tiktoken_ext.openai_public").cl100k_base())


@given(texts)
@settings(deadline=None)
def test_counts_and_tokens_are_tiktokens(theirs: tiktoken.Encoding, text: str) -> None:
    expected = theirs.encode_ordinary(text)
    assert tokens.encoding().encode_ordinary(text) == expected
    assert tokens.count(text) == len(expected)


def test_the_pattern_and_the_vocabulary_are_tiktokens(theirs: tiktoken.Encoding) -> None:
    ours = tokens.encoding()
    assert ours._pat_str == theirs._pat_str
    assert ours._mergeable_ranks == theirs._mergeable_ranks
    assert ours.name == theirs.name == tiktoken.encoding_name_for_model("text-embedding-3-small")


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("hello world", 2), ("tiktoken is great!", 6), ("antidisestablishmentarianism", 6)]
)
def test_published_counts_are_ours(text: str, count: int) -> None:
    # The second and the third are of OpenAI's guide "How to count tokens with tiktoken".
    assert tokens.count(text) == count


def test_words_that_steer_other_models_are_ordinary_text() -> None:
    assert tokens.count("<|endoftext|>") > 1


def test_lone_surrogates_do_not_stop_a_count() -> None:
    assert tokens.count("a\ud800b") > 0


def test_an_altered_vocabulary_is_refused(tmp_path: Path) -> None:
    altered = tmp_path / "cl100k_base.tiktoken"
    altered.write_bytes(tokens.VOCABULARY.read_bytes()[:-1])
    program = (
        "import sys; from pathlib import Path; from docproc import tokens;"
        "tokens.VOCABULARY = Path(sys.argv[1]); tokens.count('text')"
    )
    command = [sys.executable, "-c", program, str(altered)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert ran.returncode == 1
    assert "is not the published cl100k_base vocabulary" in ran.stderr
