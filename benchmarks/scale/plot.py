"""The processes of one size over time as an SVG, in which git shows what changed; pure."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

Sample = tuple[float, float, float]
Point = tuple[float, float]

_WIDTH: Final = 960
_PANEL: Final = 170
_LEFT: Final = 60
_RIGHT: Final = 20
_TOPS: Final = (60, 280)
_HEIGHT: Final = 500
_COLOURS: Final = {"operator": "#0b62a4", "gateway": "#c2571a"}
_BANDS: Final = ("#f4f4f4", "#e9e9e9")
_PAUSE_SECONDS: Final = 3.0
"""Samples further apart are of two lives of a process."""

_NARROW: Final = 34
"""Pixels below which a phase has no room for its name."""


def lives(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Return the samples of each life of a process: one that is new has used less time than the last."""
    found: list[list[Sample]] = []
    for sample in samples:
        if not found or sample[0] - found[-1][-1][0] > _PAUSE_SECONDS or sample[2] < found[-1][-1][2]:
            found.append([])
        found[-1].append(sample)
    return found


def cpu_percent(life: Sequence[Sample]) -> list[Point]:
    """Return how much of one core a process used between each two samples."""
    return [(there[0], 100 * (there[2] - here[2]) / (there[0] - here[0])) for here, there in pairwise(life)]


def svg(samples: Mapping[str, Sequence[Sample]], phases: Sequence[tuple[str, float, float]], title: str) -> str:
    """Return the drawing: memory above, CPU below, the phases as bands behind both."""
    memory = {name: [[(at, mib) for at, mib, _ in life] for life in lives(found)] for name, found in samples.items()}
    cpu = {name: [cpu_percent(life) for life in lives(found)] for name, found in samples.items()}
    last = max((at for found in memory.values() for life in found for at, _ in life), default=1.0)
    scale = (_WIDTH - _LEFT - _RIGHT) / last
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}">',
        "<style>text { font: 11px sans-serif }</style>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="20" style="font-size: 14px">{title}</text>',
        *_legend(samples),
        *_bands(phases, scale),
        *_panel(memory, _TOPS[0], scale, "MiB (PSS)"),
        *_panel(cpu, _TOPS[1], scale, "% of a core"),
        *_seconds(last, scale),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _legend(names: Mapping[str, object]) -> list[str]:
    places = [(_WIDTH - _RIGHT - 90 * (len(names) - number), name) for number, name in enumerate(names)]
    return [f'<text x="{x}" y="20" fill="{_COLOURS[name]}">{name}</text>' for x, name in places]


def _bands(phases: Sequence[tuple[str, float, float]], scale: float) -> list[str]:
    parts = []
    for number, (name, begin, end) in enumerate(phases):
        x, width = _LEFT + begin * scale, (end - begin) * scale
        for top in _TOPS:
            colour = _BANDS[number % 2]
            parts.append(f'<rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{_PANEL}" fill="{colour}"/>')
        if width >= _NARROW:
            parts.append(f'<text x="{x + 3:.1f}" y="{_TOPS[0] - 6}" fill="#555">{name}</text>')
    return parts


def _panel(lines: Mapping[str, Sequence[Sequence[Point]]], top: int, scale: float, unit: str) -> list[str]:
    highest = max((value for found in lines.values() for life in found for _, value in life), default=1.0) or 1.0
    step = nice(highest / 4)
    most = step * (int(highest / step) + 1)
    bottom = top + _PANEL
    parts = [f'<text x="{_LEFT}" y="{bottom + 28}" fill="#555">{unit}</text>']
    for number in range(round(most / step) + 1):
        y = bottom - _PANEL * number * step / most
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ccc"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number * step:g}</text>')
    for name, found in lines.items():
        for life in found:
            points = " ".join(f"{_LEFT + at * scale:.1f},{bottom - _PANEL * value / most:.1f}" for at, value in life)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{_COLOURS[name]}" stroke-width="1.5"/>')
    return parts


def _seconds(last: float, scale: float) -> list[str]:
    step = nice(last / 8)
    y = _TOPS[1] + _PANEL + 14
    ticks = [step * number for number in range(int(last / step) + 1)]
    return [f'<text x="{_LEFT + at * scale:.1f}" y="{y}" text-anchor="middle">{at:g} s</text>' for at in ticks]


def nice(value: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20, 50 and so on, and their parts, that is not below a value."""
    power = 1e-3
    while True:
        for factor in (1, 2, 5):
            if factor * power >= value:
                return factor * power
        power *= 10
