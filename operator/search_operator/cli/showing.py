"""`status` and `explain`: how an index is, and why it is not as it should be."""

import sys
from collections.abc import Callable
from typing import Any

import click
from rich.console import RenderableType
from rich.live import Live as Redrawn

from search_operator.cli.completion import index_name
from search_operator.cli.drawing import as_json, show, terminal
from search_operator.cli.explanation import explain
from search_operator.cli.explanation_text import explanation_text
from search_operator.cli.live import Live
from search_operator.cli.options import clock, connected, fail, output, reporting
from search_operator.cli.resources import Object, Unreadable
from search_operator.cli.screen import Screen, screen, screens
from search_operator.cli.screen_text import screen_text, table_text

EXIT_READY, EXIT_NOT_READY = 0, 1

_STATUS_HELP = """Show an index on one screen: its releases with their roles and gates, how far a build is, encoders,
gateways, pre-warm windows, money, and each condition that is not fine. Without NAME, all indexes of the namespace, one
a line.

\b
Examples:
  kubectl ssi status -n search                  # all of the namespace
  kubectl ssi status -A                         # all of the cluster
  kubectl ssi status products -n search
  kubectl ssi status products -n search -w      # drawn again whenever something changes
  kubectl ssi status products -n search -o json
"""

_EXPLAIN_HELP = """Say why an index is not Ready and what it waits for: from its conditions, its releases' gates, its pods
and the warnings of the last quarter of an hour; in the order of what to do first, with the remedy and the page that
says more.

\b
Exit code:
  0  it is Ready; what is said besides is worth knowing
  1  it is not Ready
  2  an error

\b
Examples:
  kubectl ssi explain products -n search
  kubectl ssi explain products -n search -o json | jq -r '.causes[0].do'
  until kubectl ssi explain products -n search; do sleep 10; done
"""


@click.command(name="status", help=_STATUS_HELP, short_help="One screen of an index, or one line for each.")
@index_name
@click.option("-A", "--all-namespaces", is_flag=True, help="Those of all namespaces; without NAME.")
@click.option("-w", "--watch", is_flag=True, help="Draw it again whenever it changes, until Ctrl-C.")
@output
@connected
@reporting
def status_command(
    name: str | None,
    all_namespaces: bool,
    watch: bool,
    output: str,
    namespace: str | None,
    context: str | None,
    kubeconfig: str | None,
) -> None:
    """See _STATUS_HELP."""
    if name and all_namespaces:
        fail("a name and --all-namespaces exclude each other")
    if watch and output == "json":
        fail("--watch draws screens; for JSON, use kubectl get ssi -o json --watch")
    live = Live.open(kubeconfig, context, namespace)

    def look() -> tuple[Screen, ...]:
        if name:
            return (screen(live.index(name)),)
        return screens(live.indexes(everywhere=all_namespaces))

    def draw(told: tuple[Screen, ...]) -> RenderableType:
        if name:
            return screen_text(told[0], clock())
        return table_text(told, namespaces=all_namespaces)

    if watch:
        _watch(live, name, look, draw, everywhere=all_namespaces)
        return
    told = look()
    if output == "json":
        click.echo(as_json(told[0] if name else told))
    elif not told:
        click.echo("the cluster has no index" if all_namespaces else live.none_found(), err=True)
    else:
        show(terminal(wide=not name), draw(told))


def _watch(
    live: Live,
    name: str | None,
    look: Callable[[], tuple[Screen, ...]],
    draw: Callable[[tuple[Screen, ...]], RenderableType],
    *,
    everywhere: bool,
) -> None:
    """In place on a terminal, where ages go on between changes; one screen after the other in a pipe."""
    console, seen = terminal(), look()
    if not console.is_terminal:
        drawn = ""
        for _ in live.changes(name, everywhere=everywhere):
            with console.capture() as captured:
                console.print(draw(look()))
            if captured.get() != drawn:
                drawn = captured.get()
                click.echo("\n".join(line.rstrip() for line in drawn.splitlines()) + "\n")
                sys.stdout.flush()
        return
    with Redrawn(get_renderable=lambda: draw(seen), console=console, refresh_per_second=1) as redrawn:
        for _ in live.changes(name, everywhere=everywhere):
            seen = look()
            redrawn.refresh()


@click.command(name="explain", help=_EXPLAIN_HELP, short_help="Why it is not Ready, and what to do first.")
@index_name
@output
@connected
@reporting
def explain_command(
    name: str | None, output: str, namespace: str | None, context: str | None, kubeconfig: str | None
) -> None:
    """See _EXPLAIN_HELP."""
    live = Live.open(kubeconfig, context, namespace)
    index = live.one(name)
    unseen: list[str] = []

    def asked(what: str, ask: Callable[..., list[Object]], *arguments: Any) -> list[Object]:
        try:
            return ask(*arguments)
        except Unreadable as error:
            unseen.append(f"{what}: {error}")
            return []

    pods, events = asked("pods", live.pods, index), asked("events", live.warnings, index)
    others = [str(each["metadata"]["name"]) for each in asked("other indexes", live.indexes)]
    told = explain(index, pods, events, clock(), others, unseen)
    if output == "json":
        click.echo(as_json(told))
    else:
        show(terminal(), explanation_text(told))
    sys.exit(EXIT_READY if told.ready else EXIT_NOT_READY)
