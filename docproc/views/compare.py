"""A comparison as a table on a terminal, as tab-separated values, as JSON, and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

from rich.markup import escape
from rich.table import Table

from docproc.compare import Comparison, Value, trouble
from docproc.trials import Difference
from docproc.views.terminal import data, for_people, messages, print_json, print_rows, show
from docproc.views.words import dollars, duration, safe

NOTHING = "–"


def show_bounds(told: Mapping[str, float | None]) -> None:
    """What the variants may cost, before it is paid; nothing where all is free."""
    if any(usd is None or usd > 0 for usd in told.values()):
        each = ", ".join(f"{name} {dollars(usd)}" for name, usd in told.items())
        messages().print(f"at most: {escape(safe(each))}")


def show_run(line: str) -> None:
    """One run that is over."""
    messages().print(escape(safe(line)))


def show_comparison(it: Comparison, *, json: bool) -> None:
    """All of it, side by side."""
    if json:
        print_json(it.document())
    elif for_people():
        _show(it)
    else:
        print_rows(_records(it))


def markdown(it: Comparison) -> str:
    """The report."""
    names = [result.name for result in it.results]
    parts = ["# Comparison", _title(it), _table(["", *names], _shown(it)), *_troubles(it)]
    parts += [f"## Differences from {_cell(it.first.name)}"]
    for name, told in _others(it):
        parts += [f"{_cell(_verdict(it, name, told))}."]
        if told:
            rows = [(one.sample, one.what, *_values(one), one.severity) for one in told]
            parts += [_table(["document", "what", it.first.name, name, "severity"], rows)]
    if it.questions:
        parts += ["## Questions", _asked_title(it)]
        ran = [result.name for result in it.results if result.last is not None]
        if rows_ := list(_different_ranks(it)):
            parts += [_table(["question", "document", *ran], rows_)]
    return "\n\n".join(parts) + "\n"


# ── what is shown ───────────────────────────────────────────────────────────────────────────────────────────────────


def _count(value: Value) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) else NOTHING


def _number(value: Value) -> str:
    return f"{value:,.2f}" if isinstance(value, int | float) else NOTHING


def _seconds(value: Value) -> str:
    return duration(value) if isinstance(value, int | float) else NOTHING


def _share(value: Value) -> str:
    return f"{100 * value:.0f} %" if isinstance(value, int | float) else NOTHING


def _word(value: Value) -> str:
    return NOTHING if value is None else str(value)


def _usd(value: Value) -> str:
    return dollars(value if isinstance(value, int | float) else None)


ROWS: dict[str, tuple[str, Callable[[Value], str]]] = {
    "where": ("where", _word),
    "parser": ("parser", _word),
    "chunker": ("chunker", _word),
    "embedder": ("embedder", _word),
    "documents": ("documents", _count),
    "complete": ("complete", _count),
    "failed": ("failed", _count),
    "unfinished": ("unfinished", _count),
    "pages": ("pages", _count),
    "chunks": ("chunks", _count),
    "tokens": ("tokens", _count),
    "tokens_per_chunk": ("tokens a chunk", _number),
    "dimensions": ("dimensions", _word),
    "unsteady": ("not the same each run", _count),
    "states": ("states passed", _word),
    "seconds": ("time", _seconds),
    "ratio": ("ratio", _number),
    "documents_per_second": ("documents a second", _number),
    "parse_seconds": ("in parse", _seconds),
    "validate_seconds": ("in validate", _seconds),
    "chunk_seconds": ("in chunk", _seconds),
    "embed_seconds": ("in embed", _seconds),
    "usd": ("cost of a run", _usd),
    "parser_calls": ("parser calls", _count),
    "parser_pages": ("pages bought", _count),
    "embedder_calls": ("embedder calls", _count),
    "embedder_tokens": ("tokens bought", _count),
    "recall_at_1": ("recall@1", _share),
    "recall_at_5": ("recall@5", _share),
    "mrr": ("MRR", _number),
}
"""Title and form of each measure."""


def _shown(it: Comparison) -> Iterator[list[str]]:
    for name, values in it.measures().items():
        title, form = ROWS[name]
        ran = [result.last is not None for result in it.results]
        yield [
            title,
            *(form(value) if did or value is not None else NOTHING for value, did in zip(values, ran, strict=True)),
        ]


def _title(it: Comparison) -> str:
    runs = "one run" if it.runs == 1 else f"{it.runs} runs"
    return f"{it.samples} documents, {runs} of each variant. The others are compared with {_cell(it.first.name)}."


def _verdict(it: Comparison, name: str, told: Sequence[Difference] | None) -> str:
    if told is None:
        return f"{name}: not compared, one of the two did not run"
    equal = it.equal(list(told))
    if equal == it.samples:
        return (
            f"{name}: 100 % equal, {equal} of {it.samples} documents with the same states, chunks, texts and dimensions"
        )
    return f"{name}: {equal} of {it.samples} documents equal, {100 * equal // it.samples} %"


def _others(it: Comparison) -> Iterator[tuple[str, list[Difference] | None]]:
    """What differs, for people: that other chunks are shown where there are other chunks need not be said."""
    for name, told in it.others.items():
        counts = {(one.sample, one.expected, one.found) for one in told or () if one.what == "chunks"}
        said = [o for o in told or () if o.what != "chunks shown" or (o.sample, o.expected, o.found) not in counts]
        yield name, None if told is None else said


def _values(one: Difference) -> tuple[str, str]:
    """What was expected and what was found; of a hash the beginning says enough."""
    cut = 8 if one.what == "texts" else None
    return one.expected[:cut], one.found[:cut]


def _troubles(it: Comparison) -> Iterator[str]:
    for result in it.results:
        if (told := trouble(result)) is not None:
            why = f": {told['why']}" if told["why"] else ""
            yield _cell(f"{result.name} was stopped: {told['what']}{why} [{told['code']}]. {told['try']}")


def _asked_title(it: Comparison) -> str:
    different = sum(1 for _ in _different_ranks(it))
    return (
        f"{different} of {len(it.questions)} questions are answered differently. The number is the place of the first"
        " passage from the right document."
    )


def _different_ranks(it: Comparison) -> Iterator[list[str]]:
    for question, ranks in it.asked():
        if len(set(ranks)) > 1:
            yield [question.words, question.sample, *(NOTHING if rank is None else str(rank) for rank in ranks)]


# ── as what it is shown ─────────────────────────────────────────────────────────────────────────────────────────────


def _cell(text: str) -> str:
    return safe(text).replace("|", "\\|")


def _table(head: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _records(it: Comparison) -> Iterator[list[object]]:
    yield ["variants", "", *(result.name for result in it.results)]
    for name, values in it.measures().items():
        yield ["measure", name, *values]
    for result in it.results:
        if (told := trouble(result)) is not None:
            yield ["trouble", result.name, *told.values()]
    for name, differences in it.others.items():
        if differences is not None:
            yield ["equal", name, it.equal(differences), it.samples]
            for one in differences:
                yield ["difference", name, one.sample, one.what, one.expected, one.found, one.severity]
    for question, ranks in it.asked():
        yield ["question", question.words, question.sample, *ranks]


def _show(it: Comparison) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("", no_wrap=True)
    for result in it.results:
        table.add_column(escape(safe(result.name)), overflow="fold")
    for title, *values in _shown(it):
        table.add_row(title, *(escape(safe(value)) for value in values))
    show(table)
    out = data()
    for line in _troubles(it):
        out.print(f"\n[red]{escape(line)}[/]")
    for name, told in _others(it):
        out.print(f"\n[bold]{escape(safe(_verdict(it, name, told)))}[/]")
        for sample, group in groupby(told or (), key=lambda one: one.sample):
            every = list(group)
            mark = "[red]✗[/]" if any(one.severity == "error" for one in every) else "[yellow]![/]"
            each = " · ".join("{} {} → {}".format(one.what, *_values(one)) for one in every)
            out.print(f"{mark} {escape(safe(sample))}  [dim]{escape(safe(each))}[/]")
    if it.questions:
        _show_questions(it)


def _show_questions(it: Comparison) -> None:
    data().print(f"\n{_asked_title(it)}")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("question", overflow="fold")
    table.add_column("document", overflow="fold")
    for result in it.results:
        if result.last is not None:
            table.add_column(escape(safe(result.name)), justify="right")
    for row in _different_ranks(it):
        table.add_row(*(escape(safe(value)) for value in row))
    if table.row_count:
        show(table)
