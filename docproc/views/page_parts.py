"""The parts of a page: elements whose text is escaped by construction, tables, bars and columns as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from docproc.views.words import safe


class Html(str):
    """Markup. Every other string becomes text when it is put into an element, whatever is in it."""

    __slots__ = ()


_VOID = frozenset({"meta", "br"})
_NOTHING = Html()


def tag(element: str, /, *children: object, **attributes: object) -> Html:
    """The element ``element``; a child that is no ``Html`` is text. ``class_`` is class, ``aria_label`` aria-label.

    An attribute that is None is left out.
    """
    told = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{escape(safe(str(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if element in _VOID:
        return Html(f"<{element}{told}>")
    return Html(f"<{element}{told}>{joined(children)}</{element}>")


def joined(children: Iterable[object]) -> Html:
    """``children`` one after the other; what is no ``Html`` is text."""
    return Html("".join(child if isinstance(child, Html) else escape(safe(str(child))) for child in children))


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[int] = ()) -> Html:
    """A table; the first cell of a row is its head, the columns in ``numbers`` stand to the right."""

    def kind(column: int) -> str | None:
        return "number" if column in numbers else None

    head = tag("tr", *(tag("th", name, scope="col", class_=kind(n)) for n, name in enumerate(heads)))
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(tag("td", cell, class_=kind(n)) for n, cell in enumerate(row[1:], 1)),
        )
        for row in rows
    ]
    return tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))


def behind(summary: str, content: Html) -> Html:
    """What is shown when it is asked for, without a script."""
    return tag("details", tag("summary", summary), content)


def section(title: str, *children: object, wide: bool = False) -> Html:
    """A part of the page under its heading."""
    return tag("section", tag("h2", title), *children, class_="wide" if wide else None)


# ── SVG ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def bar(share: float, kind: str, meaning: str, *, begin: float = 0.0) -> Html:
    """A bar from ``begin`` to ``share`` of its cell's width (0 to 1), at least a hair; the numbers stand beside it."""
    left, right = 100 * begin, 100 * min(share, 1.0)
    rect = tag("rect", x=f"{left:.2f}", y=0, width=f"{max(right - left, 0.6):.2f}", height=10, class_=kind)
    drawn = (tag("title", meaning), rect) if share > 0 else ()
    return tag("svg", *drawn, class_="bar", viewBox="0 0 100 10", preserveAspectRatio="none", aria_hidden="true")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a chart: ``parts`` stand upon each other, each with its kind; None is not known."""

    label: str
    parts: Sequence[tuple[str, float]] | None
    meaning: str

    @property
    def height(self) -> float:
        """Of all parts."""
        return sum(value for _, value in self.parts or ())


WIDE = 10
"""Units of width of a column, of which two are the gap."""

HIGH = 100


def columns(name: str, title: str, meaning: str, parts: Sequence[Column], *, most: str) -> Html:
    """A chart of columns that fills the width it gets; ``name`` makes its ids, ``most`` is what the highest says.

    The labels are text of the page, so that they keep their size at every width.
    """
    highest = max((column.height for column in parts), default=0.0) or 1.0
    drawn = [_column(n, column, highest) for n, column in enumerate(parts)]
    chart = tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", meaning, id=f"{name}-desc"),
        *drawn,
        class_="columns",
        viewBox=f"0 0 {WIDE * len(parts)} {HIGH}",
        preserveAspectRatio="none",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )
    ends = tag("div", tag("span", parts[0].label), tag("span", parts[-1].label), class_="ends") if parts else _NOTHING
    return tag("figure", tag("div", most, class_="most"), chart, ends)


def _column(n: int, column: Column, highest: float) -> Html:
    if column.parts is None:
        return _rect(n, 0, HIGH, "unknown", column.meaning)
    drawn, top = [], float(HIGH)
    for kind, value in column.parts:
        if value > 0:
            height = max(HIGH * value / highest, 1.0)
            top -= height
            drawn.append(_rect(n, max(top, 0.0), height, kind, column.meaning))
    return joined(drawn)


def _rect(n: int, top: float, height: float, kind: str, meaning: str) -> Html:
    left = WIDE * n + 1
    return tag(
        "rect", tag("title", meaning), x=left, y=f"{top:.2f}", width=WIDE - 2, height=f"{height:.2f}", class_=kind
    )
