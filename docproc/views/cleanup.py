"""What ``cleanup`` removed, or would."""

from __future__ import annotations

from collections.abc import Sequence

from docproc.cleanup import Swept
from docproc.views.terminal import for_people, print_json, print_rows, show


def show_swept(swept: Sequence[Swept], *, dry_run: bool, json: bool) -> None:
    """One line a kind."""
    if json:
        print_json({"dry_run": dry_run, "removed": {entry.what: entry.count for entry in swept}})
    elif not for_people():
        print_rows((entry.what, entry.count) for entry in swept)
    else:
        for entry in swept:
            show(f"{entry.count:8,}  {entry.what}{' would go' if dry_run else ''}")
