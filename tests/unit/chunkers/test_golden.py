"""A chunker's version promises the same chunks for ever: these were pinned when the version was made."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pytest

from docproc.chunkers import get
from docproc.model import Chunk, ParsedDocument

_FIXTURES = Path(__file__).parents[3] / "fixtures"
_TEXTS = ("documents/tide-api.md", "documents/night-ferry.txt", "build/content/bicycle.md", "build/content/hopital.md")

_OTHER_SCRIPTS = """
# 潮汐观测

第一句话。第二句话！没有空格的长段落，只有标点；可以在分句处切开。

## جدول المد

يرتفع الماء عند الظهر، ثم ينخفض؟ نعم۔

> ### ज्वार
> पहला वाक्य। दूसरा वाक्य॥ 👩‍👩‍👧 e\u0301

| 港 | Höhe |
|---|---|
| 東京 | 1,9 m |
"""

_PINNED = {
    "documents/tide-api.md": (
        "55f6a6b0d5ddba21",
        {
            "markdown-simple@1": "ba5b875cfdec6d3c",
            "markdown-simple@1+max=100": "fd0abec2f7ffb342",
            "tokens@1": "1fad77ae8331e299",
        },
    ),
    "documents/night-ferry.txt": (
        "88d0adb116ccc934",
        {
            "markdown-simple@1": "ca5bbcac0e34dfd1",
            "markdown-simple@1+max=100": "fe7076ea61d900e3",
            "tokens@1": "ca5bbcac0e34dfd1",
        },
    ),
    "build/content/bicycle.md": (
        "cd6dfc65df4a45fa",
        {
            "markdown-simple@1": "e07a289928238783",
            "markdown-simple@1+max=100": "36b30e5f8ff3c887",
            "tokens@1": "a3c7078b1d12da62",
        },
    ),
    "build/content/hopital.md": (
        "b6953329f79c74b5",
        {
            "markdown-simple@1": "6be45a34ad1ef972",
            "markdown-simple@1+max=100": "65218146acf71d74",
            "tokens@1": "4812309fcccd9b5b",
        },
    ),
    "other scripts": (
        "1dfe35cb510b7d40",
        {
            "markdown-simple@1": "7ef32160b639b10b",
            "markdown-simple@1+max=100": "a1378b2b7f3c0606",
            "tokens@1": "87841fff2929440c",
        },
    ),
    "a long one": (
        "3260b1d576fcbf6c",
        {
            "markdown-simple@1": "55829f37d61bfab5",
            "markdown-simple@1+max=100": "3450c9a6b52a8468",
            "tokens@1": "7fd92eccc1efd632",
        },
    ),
}
"""By text: the first digits of its SHA-256, and those of its chunks by chunker."""


def _texts() -> dict[str, str]:
    texts = {name: (_FIXTURES / name).read_text("utf-8") for name in _TEXTS}
    everything = "\n\n".join(texts.values())
    return texts | {"other scripts": _OTHER_SCRIPTS, "a long one": everything * (1_200_000 // len(everything))}


def _sha(chunks: Iterable[Chunk]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(repr(chunk).encode())
    return digest.hexdigest()


@pytest.mark.parametrize("name", [*_TEXTS, "other scripts", "a long one"])
@pytest.mark.parametrize("spec", ["markdown-simple@1", "markdown-simple@1+max=100", "tokens@1"])
def test_a_version_of_a_chunker_cuts_as_it_did_when_it_was_made(spec: str, name: str) -> None:
    text = _texts()[name]
    read, made = _PINNED[name]
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == read, "the text changed: pin it and its chunks anew"
    assert _sha(get(spec).chunk(ParsedDocument(text, ())))[:16] == made[spec], (
        f"{spec} no longer cuts as it did (a new pyromark or tiktoken, or a changed rule): a changed rule is a new"
        " version beside this one, see docproc/chunkers/__init__.py; what exists is chunked anew only under a new name"
    )
