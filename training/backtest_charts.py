"""Charts as SVG trees: pure functions from numbers to a picture that has a title, a description and tooltips.

Colours are classes that the page fills in, so one picture serves light, dark and printed pages. Every picture is drawn on
a field ``WIDTH`` units wide and grows or shrinks with the page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from unicodedata import east_asian_width
from xml.etree.ElementTree import Element

from training.backtest_report_markup import element, shortened

Colour = Literal["served", "happened", "rule", "other", "perfect"]

WIDTH = 460.0
LEFT, RIGHT, TOP, BOTTOM = 60.0, 14.0, 26.0, 52.0
LINE_HEIGHT = 19.0
LETTER, WIDE_LETTER = 8.0, 13.0
MOST_LABELS = 5


@dataclass(frozen=True)
class Axis:
    """What is measured along one side: from ``low`` to ``high``, with a mark at each of ``ticks``."""

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    shown: Callable[[float], str]

    def place(self, value: float, start: float, end: float) -> float:
        """Where ``value`` lies between the picture's ``start`` and ``end``; values beyond the axis lie on its end."""
        within = min(max(value, self.low), self.high)
        return start + (within - self.low) / (self.high - self.low) * (end - start)


@dataclass(frozen=True)
class Line:
    """One line: its points, and a label for the legend."""

    label: str
    points: tuple[tuple[float, float], ...]
    colour: Colour
    dots: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Bars:
    """One bar in every group, of one colour. ``texts`` are written above the bars."""

    label: str
    values: tuple[float, ...]
    colour: Colour
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ranged:
    """One row of a range chart: a value and the interval around it (None: unknown)."""

    label: str
    value: float
    low: float | None
    high: float | None
    text: str
    colour: Colour


def round_axis(label: str, highest: float, shown: Callable[[float], str], *, low: float = 0.0, marks: int = 5) -> Axis:
    """Give an axis from ``low`` to at least ``highest`` with about ``marks`` ticks at round numbers.

    >>> round_axis("value", 87.0, str).ticks
    (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)
    """
    span = max(highest - low, 1e-9)
    raw = span / marks
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * power for unit in (1.0, 2.0, 2.5, 5.0, 10.0) if unit * power >= raw * (1.0 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(highest / step - 1e-9)
    ticks = tuple(round(place * step, 10) for place in range(first, max(last, first + 1) + 1))
    return Axis(label, ticks[0], ticks[-1], ticks, shown)


def share_axis(label: str, *, step: float = 0.25) -> Axis:
    """Give an axis from 0 to 100 %."""
    ticks = tuple(place * step for place in range(round(1.0 / step) + 1))
    return Axis(label, 0.0, 1.0, ticks, lambda value: f"{100.0 * value:.0f} %")


def line_chart(name: str, title: str, description: str, lines: Sequence[Line], x: Axis, y: Axis, *, diagonal: str) -> Element:
    """Draw lines, the first on top, and a ``diagonal`` of that meaning, which the legend in the lower right names last."""
    height = 350.0
    bottom = height - BOTTOM
    picture = _picture(name, title, description, height)
    picture.extend(_level_axis(y, bottom))
    picture.extend(_floor_axis(x, bottom))

    def place(point: tuple[float, float]) -> tuple[float, float]:
        return x.place(point[0], LEFT, WIDTH - RIGHT), y.place(point[1], bottom, TOP)

    picture.append(_path((place((x.low, y.low)), place((x.high, y.high))), "line chance"))
    for line in reversed(lines):
        picture.append(_path([place(point) for point in line.points], f"line {line.colour}"))
    for line in reversed(lines):
        for at in line.dots:
            picture.append(_dot(place(at), line.colour, f"{line.label}: {x.shown(at[0])}, {y.shown(at[1])}"))
    picture.extend(_corner_legend([*((line.label, line.colour) for line in lines), (diagonal, "chance")], bottom))
    return picture


def bar_chart(name: str, title: str, description: str, groups: Sequence[str], series: Sequence[Bars], y: Axis) -> Element:
    """Draw groups of bars side by side, the legend above them."""
    height = 320.0
    top, bottom = TOP + 22.0, height - 34.0
    picture = _picture(name, title, description, height)
    picture.extend(_level_axis(y, bottom, top))
    picture.extend(_row_legend([(bars.label, bars.colour) for bars in series]))
    room = (WIDTH - RIGHT - LEFT) / len(groups)
    every, longest = _labels(groups, room)
    bar = min(0.8 * room / len(series), 46.0)
    floor = y.place(max(0.0, y.low), bottom, top)
    for place, group in enumerate(groups):
        middle = LEFT + (place + 0.5) * room
        for number, bars in enumerate(series):
            left = middle + (number - len(series) / 2.0) * bar
            end = y.place(bars.values[place], bottom, top)
            tip = f"{group}, {bars.label}: {y.shown(bars.values[place])}"
            picture.append(_box(left + 0.5, min(end, floor), bar - 1.0, abs(floor - end), f"fill {bars.colour}", tip))
            if bars.texts and every == 1:
                picture.append(_text(left + bar / 2.0, min(end, floor) - 5.0, bars.texts[place], "middle", "strong small"))
        if place % every == 0:
            picture.append(_text(middle, bottom + 18.0, shortened(group, longest), "middle", "tick"))
    picture.append(_path(((LEFT, floor), (WIDTH - RIGHT, floor)), "axis"))
    return picture


def range_chart(
    name: str,
    title: str,
    description: str,
    rows: Sequence[Ranged],
    x: Axis,
    *,
    target: tuple[float, float] | None = None,
    band: str = "where it should lie",
    bounds: str = "{} to {}",
) -> Element:
    """Draw one row each: label, interval, value; the ``band`` at ``target`` is where values should lie."""
    left, right, step = 186.0, WIDTH - 62.0, 30.0
    top = 12.0
    bottom = top + step * len(rows) + 6.0
    picture = _picture(name, title, description, bottom + 48.0, "ranges")
    if target is not None:
        start, end = (x.place(limit, left, right) for limit in target)
        picture.append(_box(start, top - 6.0, max(end - start, 1.5), bottom - top + 6.0, "band", band))
    for tick in x.ticks:
        at = x.place(tick, left, right)
        picture.append(_path(((at, top - 6.0), (at, bottom)), "grid"))
        picture.append(_text(at, bottom + 16.0, x.shown(tick), "middle", "tick"))
    picture.append(_text(WIDTH, bottom + 37.0, x.label, "end", "tick"))
    for number, row in enumerate(rows):
        level = top + step * (number + 0.5)
        at = x.place(row.value, left, right)
        picture.append(_text(left - 10.0, level + 4.5, shortened(row.label, 25), "end", "label"))
        if row.low is not None and row.high is not None:
            ends = (x.place(row.low, left, right), level), (x.place(row.high, left, right), level)
            picture.append(_path(ends, f"whisker {row.colour}"))
        tip = (
            row.text
            if row.low is None or row.high is None
            else f"{row.text}, {bounds.format(x.shown(row.low), x.shown(row.high))}"
        )
        picture.append(_dot((at, level), row.colour, f"{row.label}: {tip}", radius=3.5))
        picture.append(_text(right + 10.0, level + 4.5, row.text, "start", "strong small"))
    return picture


def _picture(name: str, title: str, description: str, height: float, kind: str = "chart") -> Element:
    return element(
        "svg",
        {
            "viewBox": f"0 0 {WIDTH:.0f} {height:.0f}",
            "role": "img",
            "class": kind,
            "aria-labelledby": f"{name}-title {name}-text",
        },
        element("title", {"id": f"{name}-title"}, title),
        element("desc", {"id": f"{name}-text"}, description),
    )


def _level_axis(y: Axis, bottom: float, top: float = TOP) -> list[Element]:
    parts = [_text(2.0, 13.0, y.label, "start", "tick")] if y.label else []
    for tick in y.ticks:
        level = y.place(tick, bottom, top)
        parts.append(_path(((LEFT, level), (WIDTH - RIGHT, level)), "grid"))
        parts.append(_text(LEFT - 8.0, level + 4.5, y.shown(tick), "end", "tick"))
    return parts


def _floor_axis(x: Axis, bottom: float) -> list[Element]:
    parts = [_path(((LEFT, bottom), (WIDTH - RIGHT, bottom)), "axis")]
    for tick in x.ticks:
        at = x.place(tick, LEFT, WIDTH - RIGHT)
        side = "end" if at > WIDTH - RIGHT - 15.0 else "middle"
        parts.append(_text(min(at, WIDTH - 2.0), bottom + 18.0, x.shown(tick), side, "tick"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2.0, bottom + 40.0, x.label, "middle", "tick"))
    return parts


def _corner_legend(entries: Sequence[tuple[str, str]], bottom: float) -> list[Element]:
    """Names right-justified in the corner below the lines, where a curve above the diagonal leaves room."""
    parts = []
    for number, (label, colour) in enumerate(entries):
        level = bottom - 14.0 - LINE_HEIGHT * (len(entries) - 1 - number)
        parts.append(_text(WIDTH - RIGHT - 34.0, level + 4.5, label, "end", "label halo"))
        parts.append(_path(((WIDTH - RIGHT - 26.0, level), (WIDTH - RIGHT - 6.0, level)), f"line {colour}"))
    return parts


def _labels(groups: Sequence[str], room: float) -> tuple[int, int]:
    """Label every which group, and with how many characters: few groups have short labels, many have some."""
    if len(groups) <= MOST_LABELS:
        return 1, max(3, int(room / 7.5))
    widest = 8.5 * max(len(group) for group in groups)
    return math.ceil(widest / room), 12


def _row_legend(entries: Sequence[tuple[str, str]]) -> list[Element]:
    parts, at = [], LEFT
    for label, colour in entries:
        parts.append(_box(at, 22.0, 11.0, 11.0, f"fill {colour}", label))
        parts.append(_text(at + 17.0, 32.0, label, "start", "label"))
        at += 32.0 + sum(WIDE_LETTER if east_asian_width(letter) in "WF" else LETTER for letter in label)
    return parts


def _text(x: float, y: float, text: str, side: str, kind: str) -> Element:
    return element("text", {"x": x, "y": y, "text-anchor": side, "class": kind}, text)


def _path(points: Sequence[tuple[float, float]], kind: str) -> Element:
    steps = " ".join(f"{'L' if number else 'M'}{x:.1f} {y:.1f}" for number, (x, y) in enumerate(points))
    return element("path", {"d": steps, "class": kind})


def _dot(at: tuple[float, float], colour: str, tip: str, *, radius: float = 4.5) -> Element:
    return element("circle", {"cx": at[0], "cy": at[1], "r": radius, "class": f"fill {colour}"}, element("title", None, tip))


def _box(x: float, y: float, width: float, height: float, kind: str, tip: str) -> Element:
    return element("rect", {"x": x, "y": y, "width": width, "height": height, "class": kind}, element("title", None, tip))
