"""An explanation for a terminal."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from search_operator.cli.explanation import Cause, Explanation


def explanation_text(told: Explanation) -> RenderableType:
    """The headline, then each cause with what to do, first things first."""
    head = Text(f"{told.namespace}/{told.name} is ", style="bold")
    head.append("Ready" if told.ready else "not Ready", "green" if told.ready else "red")
    head.append(f": {told.says}", "")
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="bold")
    table.add_column(overflow="fold")
    for number, cause in enumerate(told.causes, start=1):
        table.add_row(f"{number}.", Group(*_lines(cause)))
    unseen = [Text(f"not looked at: {each}", "dim") for each in told.unseen]
    return Group(head, *([table] if told.causes else []), *unseen)


def _lines(cause: Cause) -> Iterator[Text]:
    text = Text(cause.subject, "bold").append(f"  {cause.reason}", "yellow")
    yield text.append(f": {cause.says}" if cause.says else "", "")
    if cause.do:
        yield Text(f"do: {cause.do}", "cyan")
    if cause.waits:
        yield Text(f"waits for {cause.waits}")
    yield Text(f"see {cause.page}", "dim")
