"""Three small charts as inline SVG: lines, grouped columns, stacked bars. No scripts, no fonts, no links."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BOTTOM = 80, 26, 20, 34
_GRID, _TEXT, _INK = "#e5e8ee", "#5b6472", "#1d2430"

Format = Callable[[float], str]


@dataclass(frozen=True)
class Line:
    """One line of a line chart."""

    points: tuple[tuple[float, float], ...]
    color: str
    dashed: bool = False


@dataclass(frozen=True)
class Level:
    """A horizontal line across a chart: a limit or a target."""

    value: float
    color: str


@dataclass(frozen=True)
class Group:
    """Columns that stand together; `values` in the order of the series, None leaves a gap."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Stack:
    """One bar of parts; `values` in the order of the series."""

    name: str
    values: tuple[float, ...]
    note: str = ""


def ticks(largest: float) -> list[float]:
    """Round values from 0 to at least `largest`, four to six of them: 47 -> 0, 10, 20, 30, 40, 50."""
    if largest <= 0:
        return [0.0, 1.0]
    rough = largest / 5
    power = 10 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    return [index * step for index in range(ceil(largest / step - 1e-9) + 1)]


def line_chart(
    title: str, lines: Sequence[Line], levels: Sequence[Level], *, x_format: Format, y_format: Format, x_step: float
) -> str:
    """Lines over time; `x_step` is the distance of the marks below."""
    x_most = max(x for line in lines for x, _ in line.points)
    y_ticks = ticks(max([y for line in lines for _, y in line.points] + [level.value for level in levels]) * 1.02)

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + x / x_most * (WIDTH - LEFT - RIGHT), _height(y, y_ticks[-1])

    parts = [_y_axis(y_ticks, y_format)]
    x = 0.0
    while x <= x_most + 1e-9:
        at, bottom = place(x, 0)
        parts.append(_text(at, bottom + 18, x_format(x), anchor="middle"))
        x += x_step
    for line in lines:
        path = " ".join(f"{at:.1f},{up:.1f}" for at, up in (place(*point) for point in line.points))
        dash = ' stroke-dasharray="5 4"' if line.dashed else ""
        stroke = f'stroke="{line.color}" stroke-width="2.2" stroke-linejoin="round"{dash}'
        parts.append(f'<polyline points="{path}" fill="none" {stroke}/>')
    parts += [_level(level, y_ticks[-1]) for level in levels]
    return _svg(title, parts)


def column_chart(
    title: str, groups: Sequence[Group], colors: Sequence[str], levels: Sequence[Level], *, y_format: Format
) -> str:
    """Groups of columns, each with its figure on top."""
    values = [value for group in groups for value in group.values if value is not None]
    y_ticks = ticks(max(values + [level.value for level in levels]) * 1.05)
    parts = [_y_axis(y_ticks, y_format)]
    room = (WIDTH - LEFT - RIGHT) / len(groups)
    width = min(46.0, room * 0.8 / max(len(group.values) for group in groups))
    for number, group in enumerate(groups):
        middle = LEFT + room * (number + 0.5)
        shown = [(value, color) for value, color in zip(group.values, colors, strict=False) if value is not None]
        for index, (value, color) in enumerate(shown):
            x = middle + (index - len(shown) / 2) * width
            top = _height(value, y_ticks[-1])
            parts.append(_box(x + 1.5, top, width - 3, HEIGHT - BOTTOM - top, color))
            parts.append(_text(x + width / 2, top - 5, y_format(value), anchor="middle", size=10.5, color=_INK))
        parts.append(_text(middle, HEIGHT - BOTTOM + 18, group.name, anchor="middle"))
    parts += [_level(level, y_ticks[-1]) for level in levels]
    return _svg(title, parts)


def bar_chart(title: str, stacks: Sequence[Stack], colors: Sequence[str], *, x_format: Format) -> str:
    """Horizontal bars of parts, each with its sum and a note behind it."""
    left, right, row = 178, 120, 42
    height = row * len(stacks) + 8
    most = max(sum(stack.values) for stack in stacks) or 1.0
    parts = []
    for number, stack in enumerate(stacks):
        middle = row * (number + 0.5) + 4
        parts.append(_text(left - 10, middle + 4, stack.name, anchor="end", color=_INK))
        x = float(left)
        for value, color in zip(stack.values, colors, strict=False):
            width = value / most * (WIDTH - left - right)
            if width > 0:
                parts.append(_box(x, middle - 11, max(width, 1.0), 22, color))
            x += width
        parts.append(
            _text(x + 8, middle + (-2 if stack.note else 4), x_format(sum(stack.values)), color=_INK, bold=True)
        )
        if stack.note:
            parts.append(_text(x + 8, middle + 12, stack.note, size=10.5))
    return _svg(title, parts, height)


def _height(value: float, most: float) -> float:
    return HEIGHT - BOTTOM - value / most * (HEIGHT - TOP - BOTTOM)


def _y_axis(values: Sequence[float], show: Format) -> str:
    lines = []
    for value in values:
        y = _height(value, values[-1])
        lines.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_GRID}"/>')
        lines.append(_text(LEFT - 8, y + 4, show(value), anchor="end"))
    return "".join(lines)


def _level(level: Level, most: float) -> str:
    y = _height(level.value, most)
    ends = f'x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"'
    return f'<line {ends} stroke="{level.color}" stroke-width="1.6" stroke-dasharray="2 3"/>'


def _box(x: float, y: float, width: float, height: float, color: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2" fill="{color}"/>'


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    color: str = _TEXT,
    size: float = 12,
    bold: bool = False,
) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}" font-size="{size}"{weight}>'
        f"{escape(text)}</text>"
    )


def _svg(title: str, parts: Sequence[str], height: float = HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title, quote=True)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
