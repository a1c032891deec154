"""`python -m search_operator plan`: what a change of the resource would do, before it is applied."""

import io
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from search_operator.api.index import InvalidResource, SemanticSearchIndex
from search_operator.cli.forecast import SWITCHES, Kind, forecast
from search_operator.cli.prices import shared_prices, text_in
from search_operator.cli.resources import Cluster, Object, Unreadable, indexes_in, namespace_of
from search_operator.cli.simulate import simulate_command
from search_operator.cli.text import text_of

EXIT_SAME_RELEASE = 0
EXIT_OTHER_RELEASE = 1
EXIT_ERROR = 2

_HELP = """Tell what applying a SemanticSearchIndex would do: whether another release starts or the change is applied
in place, field by field, and what follows. Changes nothing.

Without --current, the present resource is read from the cluster, which is also asked, in a dry run, whether it would
take the new one.

\b
Exit code, much as of `kubectl diff`:
  0  the release stays: nothing changes, or all of it in place
  1  another release will answer: the first, a new one, a rebuild, or one that is gone back to
  2  an error, or the change is refused

\b
Examples:
  python -m search_operator plan -f products.yaml
  python -m search_operator plan -f products.yaml --context production
  python -m search_operator plan -f products.yaml --current products-before.yaml
  python -m search_operator plan -f products.yaml --current products-before.yaml --prices prices.yaml
  git show HEAD:products.yaml | python -m search_operator plan -f products.yaml --current -
  kubectl get ssi products -n search -o yaml > now.yaml     # with its status: active and retained releases
  kubectl exec -i deploy/semantic-search-operator -n semantic-search -- \\
    python3 -m search_operator plan -f - < products.yaml
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Without a command, runs the operator. With one, tells what the operator would do."""


@cli.command(help=_HELP)
@click.option(
    "-f", "--filename", "new_file", type=click.File(encoding="utf-8"), required=True, help="YAML; - is stdin."
)
@click.option(
    "--current",
    "current_file",
    type=click.File(encoding="utf-8"),
    help="The present resource as YAML; no cluster is asked.",
)
@click.option(
    "--kubeconfig", type=click.Path(exists=True, dir_okay=False), help="By default as kubectl finds it."
)
@click.option("--context", help="Context of the kubeconfig.")
@click.option(
    "--prices",
    "prices_file",
    type=click.File(encoding="utf-8"),
    help="Prices in place of the ConfigMap that spec.cost.pricesConfigMapRef names: it, or its prices.yaml, as a file.",
)
@click.option("-n", "--namespace", help="For resources that name none; by default the context's.")
def plan(
    new_file: io.TextIOWrapper,
    current_file: io.TextIOWrapper | None,
    kubeconfig: str | None,
    context: str | None,
    namespace: str | None,
    prices_file: io.TextIOWrapper | None,
) -> None:
    """See _HELP."""
    if current_file and (kubeconfig or context):
        raise click.UsageError("--current asks no cluster; leave out --kubeconfig and --context")
    try:
        cluster = None if current_file else Cluster.open(kubeconfig, context)
        fallback = namespace or (cluster.namespace if cluster else "default")
        new = indexes_in(new_file, new_file.name, fallback)
        present = indexes_in(current_file, current_file.name, fallback) if current_file else []
        prices = text_in(prices_file) if prices_file else None
        kinds = [_one(each, present, cluster, prices) for each in new]
    except (Unreadable, InvalidResource) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(EXIT_ERROR)
    sys.exit(_exit_code(kinds))


def _one(new: Object, present: Sequence[Object], cluster: Cluster | None, prices: str | None) -> Kind:
    name, namespace = new["metadata"].get("name", ""), new["metadata"]["namespace"]
    if cluster:
        current = cluster.get(namespace, name)
        refusals, unasked = cluster.refusals(new, current)
    else:
        current = _same(present, name, namespace)
        refusals, unasked = [], "it was not asked"
    now = datetime.now(UTC)
    try:
        index = SemanticSearchIndex.parse(new)
    except InvalidResource as error:
        raise Unreadable("; ".join(refusals) or str(error)) from error
    shared = shared_prices(index, cluster, prices)
    told = forecast(index, SemanticSearchIndex.parse(current) if current else None, now, refusals, shared)
    click.echo(text_of(told, index, now), nl=False)
    if unasked:
        click.echo(f"The API server has the last word on what is valid; {unasked}.", err=True)
    return told.kind


def _same(present: Sequence[Object], name: str, namespace: str) -> Object | None:
    """The index of that name; a single one that names no namespace is meant whatever the namespace."""
    return next(
        (i for i in present if i["metadata"].get("name") == name and namespace_of(i, namespace) == namespace),
        None,
    )


def _exit_code(kinds: Sequence[Kind]) -> int:
    if Kind.REFUSED in kinds:
        return EXIT_ERROR
    return EXIT_OTHER_RELEASE if SWITCHES & set(kinds) else EXIT_SAME_RELEASE


cli.add_command(simulate_command)


def run(arguments: Sequence[str]) -> Any:
    """Run the command line with these arguments; ends the process."""
    return cli(list(arguments), prog_name="python -m search_operator")
