"""What all screens share: the terminal, bars of blocks, and the model of a screen as JSON."""

import dataclasses
import json
from collections.abc import Sequence
from enum import Enum
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

PIPED_WIDTH = 120
_WIDE = 300
_LABEL = 10


def terminal(*, wide: bool = False) -> Console:
    """Standard output: in colours on a terminal, plain and of a fixed width in a pipe or a log.

    `wide` is for tables, of which nothing shall be cut: a terminal folds their lines, as it does kubectl's.
    """
    console = Console(highlight=False, emoji=False, markup=False)
    width = _WIDE if wide else None if console.is_terminal else PIPED_WIDTH
    return Console(highlight=False, emoji=False, markup=False, width=width) if width else console


def bar(parts: Sequence[tuple[float, str, str]], width: int = 32) -> Text:
    """Shares of one (each up to where it reaches, its sign, its style), then dots up to `width`."""
    text, filled = Text(), 0
    for reach, sign, style in parts:
        cells = round(min(1.0, max(0.0, reach)) * width)
        if cells > filled:
            text.append(sign * (cells - filled), style=style)
            filled = cells
    return text.append("·" * (width - filled), style="dim")


def grid() -> Table:
    """Label and text, the text wrapped under itself."""
    table = Table.grid(padding=(0, 2))
    table.add_column(min_width=_LABEL, no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    return table


def columns(head: Sequence[str], right: Sequence[str] = ()) -> Table:
    """A table as kubectl prints one: no lines, no cut names."""
    table = Table(box=None, padding=(0, 3, 0, 0), show_edge=False, pad_edge=False, header_style="bold")
    for name in head:
        table.add_column(name, no_wrap=True, justify="right" if name in right else "left")
    return table


def show(console: Console, *parts: RenderableType) -> None:
    """Print without the blanks that tables leave at the ends of lines."""
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def as_json(model: Any) -> str:
    """A frozen dataclass (or a sequence of them) as JSON, in camelCase, without what is None."""
    return json.dumps(plain(model), ensure_ascii=False, indent=2)


def plain(value: Any) -> Any:
    """The same as plain JSON values."""
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        told = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {_camel(name): plain(item) for name, item in told.items() if item is not None}
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
