"""How a benchmark tells its result: a printed table, a JSON file and a plot beside it.

>>> times = alternate({"ours": measure_ours, "floor": measure_floor}, rounds=5)
>>> row = Row.compare("apply_vs_floor", median(times["ours"]), "bare applies", median(times["floor"]),
...                   unit="s", goal=1.5, better="lower")
>>> write("reconcile", [row], notes={"resources": 40})
"""

import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape

import orjson
from pydantic import BaseModel, JsonValue
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"

_BAR = 420
_LABEL = 250
_LETTER = 7


class Row(BaseModel):
    """One comparison. `ours` and `limit` are medians in `unit`; `ratio` is ours / limit; `against` names the limit.

    `goal` is the ratio asked for (None where none is); `met` says whether it was reached.
    """

    name: str
    ours: float
    against: str
    limit: float
    ratio: float
    unit: str
    goal: float | None = None
    met: bool | None = None

    @classmethod
    def compare(
        cls,
        name: str,
        ours: float,
        against: str,
        limit: float,
        *,
        unit: str,
        goal: float | None = None,
        better: Literal["higher", "lower"] = "higher",
    ) -> "Row":
        """A row with its ratio; `better` says on which side of the goal the ratio should be."""
        ratio = ours / limit
        met = None if goal is None else (ratio >= goal if better == "higher" else ratio <= goal)
        return cls._rounded(name, ours, against, limit, ratio, unit, goal, met)

    @classmethod
    def at_most(cls, name: str, ours: float, most: float, *, unit: str = "") -> "Row":
        """A row of a figure that may reach `most`, which may be 0."""
        return cls._bounded(name, ours, "at most", most, unit, met=ours <= most)

    @classmethod
    def at_least(cls, name: str, ours: float, least: float, *, unit: str = "") -> "Row":
        """A row of a figure that must reach `least`."""
        return cls._bounded(name, ours, "at least", least, unit, met=ours >= least)

    @classmethod
    def _bounded(cls, name: str, ours: float, against: str, limit: float, unit: str, *, met: bool) -> "Row":
        # There is no ratio to nothing; the figure itself says how far off it is.
        ratio = ours / limit if limit else ours
        goal = 1.0 if limit else 0.0
        return cls._rounded(name, ours, against, limit, ratio, unit, goal, met)

    @classmethod
    def _rounded(
        cls,
        name: str,
        ours: float,
        against: str,
        limit: float,
        ratio: float,
        unit: str,
        goal: float | None,
        met: bool | None,
    ) -> "Row":
        return cls(
            name=name,
            ours=round(ours, 3),
            against=against,
            limit=round(limit, 3),
            ratio=round(ratio, 4),
            unit=unit,
            goal=goal,
            met=met,
        )


def alternate(
    measures: Mapping[str, Callable[[], float]], rounds: int, warmups: int = 0
) -> dict[str, list[float]]:
    """Figures of each measure, taken in turn so that a slow minute of the machine meets all of them.

    Every other round goes backwards; the first `warmups` rounds are not kept.
    """
    figures: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(warmups + rounds):
        order = list(measures.items())
        for name, measure in order if number % 2 == 0 else reversed(order):
            figure = measure()
            if number >= warmups:
                figures[name].append(figure)
    return figures


def write(
    name: str, rows: Sequence[Row], notes: Mapping[str, JsonValue] | None = None, results: Path = RESULTS
) -> Path:
    """Prints the table, writes `<name>.json` and `<name>.svg` into `results`; returns the JSON's path."""
    results.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": machine(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "rows": [row.model_dump() for row in rows],
        "notes": dict(notes or {}),
    }
    path = results / f"{name}.json"
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    path.with_suffix(".svg").write_text(bars(name, rows), encoding="utf-8")
    Console(width=150).print(_table(name, rows))
    return path


def machine() -> dict[str, JsonValue]:
    """What the figures were taken on: cores, CPU, memory in GiB, and how busy it was (load over a minute)."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _cpu_model(),
        "memory_gib": round(pages / 2**30, 1),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }


def commit() -> str:
    """The checkout's commit, with `+changes` where tracked files differ from it; `unknown` outside a checkout."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def bars(title: str, rows: Sequence[Row]) -> str:
    """An SVG with two bars a row: ours and the limit, to the scale of the larger."""
    lines = []
    left = max(
        _LABEL, max((_LETTER * len(label) for row in rows for label in (row.name, row.against)), default=0)
    )
    top = 40
    for row in rows:
        most = max(row.ours, row.limit) or 1.0
        for label, value, colour in (
            (row.name, row.ours, "#2f6fde"),
            (row.against, row.limit, "#b0b7c3"),
        ):
            width = _BAR * value / most
            lines.append(
                f'<text x="{left - 8}" y="{top + 13}" text-anchor="end">{escape(label)}</text>'
                f'<rect x="{left}" y="{top}" width="{width:.1f}" height="16" fill="{colour}"/>'
                f'<text x="{left + width + 6:.1f}" y="{top + 13}">{value:,.1f} {escape(row.unit)}</text>'
            )
            top += 20
        lines.append(f'<text x="{left}" y="{top + 12}" fill="#555">ratio {row.ratio:.2f}</text>')
        top += 28
    body = "\n".join(lines)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + _BAR + 150}" height="{top}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        f'<text x="12" y="22" font-size="15">{escape(title)}</text>\n{body}\n</svg>\n'
    )


def _table(name: str, rows: Iterable[Row]) -> Table:
    table = Table(title=name)
    for heading in ("name", "ours", "against", "limit", "unit", "ratio", "goal", "met"):
        table.add_column(heading, justify="left" if heading in ("name", "against", "unit") else "right")
    for row in rows:
        goal = "" if row.goal is None else f"{row.goal:.2f}"
        met = "" if row.met is None else ("yes" if row.met else "NO")
        table.add_row(
            row.name,
            f"{row.ours:,.2f}",
            row.against,
            f"{row.limit:,.2f}",
            row.unit,
            f"{row.ratio:.3f}",
            goal,
            met,
        )
    return table


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=Path(__file__).parent, check=True, capture_output=True, text=True, timeout=30
    )
    return done.stdout.strip()
