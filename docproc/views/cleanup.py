"""What ``cleanup`` removed, or would."""

from __future__ import annotations

from collections.abc import Sequence

from docproc.cleanup import Swept
from docproc.cleanup.forgetting import Forgotten
from docproc.views.terminal import for_people, print_json, print_rows, show
from docproc.views.words import size


def show_swept(swept: Sequence[Swept], *, dry_run: bool, json: bool) -> None:
    """One line a kind: what, how many, and how large."""
    if json:
        sizes = {one.what: one.bytes for one in swept if one.bytes is not None}
        print_json({"dry_run": dry_run, "removed": {one.what: one.count for one in swept}, "bytes": sizes})
    elif not for_people():
        print_rows((one.what, one.count, "" if one.bytes is None else one.bytes) for one in swept)
    else:
        for one in swept:
            would = " would go" if dry_run and one.count else ""
            show(f"{one.count:8,}  {size(one.bytes) if one.bytes else '':>8}  {one.what}{would}")


def show_forgotten(done: Forgotten, *, json: bool) -> None:
    """One line a table: what there was, and what is left."""
    if json:
        documents = [str(document) for document in done.documents]
        told = {"dry_run": done.dry_run, "documents": documents, "found": dict(done.found), "left": dict(done.left)}
        print_json(told)
    elif not for_people():
        print_rows((what, count, done.left.get(what, "")) for what, count in done.found.items())
    else:
        for what, count in done.found.items():
            show(f"{count:8,}  {what}{' would go' if done.dry_run else f', left {done.left[what]}'}")
