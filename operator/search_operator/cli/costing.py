"""`cost`: what an index has cost by item, what the month comes to, and the months before it."""

from pathlib import Path

import click

from search_operator.cli.completion import index_name
from search_operator.cli.drawing import as_json, show, terminal
from search_operator.cli.live import Live
from search_operator.cli.options import clock, connected, fail, output, reporting
from search_operator.cli.resources import Object, Unreadable
from search_operator.cli.screen import screens
from search_operator.cli.spending import Spending, spending
from search_operator.cli.spending_text import costs_text, spending_text
from search_operator.money.ledger import LEDGER_KEY, ledger_in
from search_operator.render.ledger import ledger_name

_HELP = """Show what an index has cost this month by item, what the month comes to under its cap, and the months before
it, from the ledger that the operator keeps. Without NAME, all indexes of the namespace, one a line.

\b
Examples:
  kubectl ssi cost -n search                          # all of the namespace, and their sum
  kubectl ssi cost -A
  kubectl ssi cost products -n search
  kubectl ssi cost products -n search --png cost.png  # needs matplotlib
  kubectl ssi cost products -n search -o json | jq -r .money.projected
"""


@click.command(name="cost", help=_HELP, short_help="What it has cost, and what the month comes to.")
@index_name
@click.option("-A", "--all-namespaces", is_flag=True, help="Those of all namespaces; without NAME.")
@click.option(
    "--png", type=click.Path(dir_okay=False, path_type=Path), help="Plot the months into this file."
)
@output
@connected
@reporting
def cost_command(
    name: str | None,
    all_namespaces: bool,
    png: Path | None,
    output: str,
    namespace: str | None,
    context: str | None,
    kubeconfig: str | None,
) -> None:
    """See _HELP."""
    if name and all_namespaces:
        fail("a name and --all-namespaces exclude each other")
    if png and not name:
        fail("--png plots one index; name it")
    live = Live.open(kubeconfig, context, namespace)
    if not name:
        found = screens(live.indexes(everywhere=all_namespaces))
        if output == "json":
            click.echo(as_json([{"namespace": s.namespace, "name": s.name, "money": s.money} for s in found]))
        elif not found:
            click.echo("the cluster has no index" if all_namespaces else live.none_found(), err=True)
        else:
            show(terminal(wide=True), costs_text(found, namespaces=all_namespaces))
        return
    spent = _spending(live, live.index(name))
    if output == "json":
        click.echo(as_json(spent))
    else:
        show(terminal(), spending_text(spent, clock()))
    if png:
        _plot(png, spent)


def _spending(live: Live, index: Object) -> Spending:
    """With the ledger where it may be read; without, only the sums of the status are known."""
    meta = index["metadata"]
    name = ledger_name(meta["name"])
    try:
        kept = live.config_map(meta["namespace"], name)
    except Unreadable as error:
        return spending(index, None, f"by item nothing is known: {error}")
    ledger = ledger_in((kept.get("data") or {}).get(LEDGER_KEY, "")) if kept else None
    lacking = "is not readable" if kept else "is not there"
    return spending(index, ledger, f"by item nothing is known: ConfigMap {name} {lacking}")


def _plot(path: Path, spent: Spending) -> None:
    if spent.money is None:
        fail(f"--png: there is nothing to plot of {spent.namespace}/{spent.name}: {spent.note}")
    try:
        from search_operator.cli.spending_plot import plot
    except ImportError as error:
        fail(f"--png: {error}; pip install 'semantic-search-operator[report]'")
    try:
        plot(path, spent)
    except OSError as error:
        fail(f"--png: {path} can't be written: {error.strerror}")
