"""`plan`: what a change of the resource would do, before it is applied."""

import difflib
import io
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
import yaml

from search_operator.api.index import InvalidResource, SemanticSearchIndex
from search_operator.cli.forecast import SWITCHES, Forecast, Kind, forecast
from search_operator.cli.forecast_json import forecast_json
from search_operator.cli.months import MonthBill, months
from search_operator.cli.options import EXIT_ERROR, clock, connected, output, reporting
from search_operator.cli.parts import Part, parts
from search_operator.cli.planned_text import capacity_lines, month_lines
from search_operator.cli.prices import priced, shared_prices, text_in
from search_operator.cli.resources import Cluster, Object, Unreadable, indexes_in, namespace_of
from search_operator.cli.text import text_of

EXIT_SAME_RELEASE = 0
EXIT_OTHER_RELEASE = 1

_HELP = """Tell what applying a SemanticSearchIndex would do: whether another release starts or the change is applied
in place, field by field, and what follows; what each part takes, what the months come to with and without peaks, and
what the money's guard would do. Changes nothing.

Without --current, the present resource is read from the cluster, which is also asked, in a dry run, whether it would
take the new one.

\b
Exit code, much as of `kubectl diff`:
  0  the release stays: nothing changes, or all of it in place
  1  another release will answer: the first, a new one, a rebuild, or one that is gone back to
  2  an error, or the change is refused

\b
Examples:
  kubectl ssi plan -f products.yaml
  kubectl ssi plan -f products.yaml --diff --context production
  kubectl ssi plan -f products.yaml -o json | jq '.months[0]'
  kubectl ssi plan -f products.yaml --current products-before.yaml                        # asks no cluster
  kubectl ssi plan -f products.yaml --current products-before.yaml --prices prices.yaml
  git show HEAD:products.yaml | kubectl ssi plan -f products.yaml --current -
  kubectl get ssi products -n search -o yaml > now.yaml     # with its status: active and retained releases
  kubectl exec -i deploy/semantic-search-operator -n semantic-search -- \\
    python3 -m search_operator plan -f - < products.yaml
"""


@dataclass(frozen=True)
class Planned:
    """One index of the file: the forecast, and what goes with it. `diff` is empty where nobody asked for it."""

    index: SemanticSearchIndex
    told: Forecast
    parts: tuple[Part, ...]
    rows: int | None
    months: tuple[MonthBill, ...]
    diff: str = ""
    unasked: str = ""


@click.command(name="plan", help=_HELP, short_help="What a change would do, before it is applied.")
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
    "--prices",
    "prices_file",
    type=click.File(encoding="utf-8"),
    help="Prices in place of the ConfigMap that spec.cost.pricesConfigMapRef names: it, or its prices.yaml, as a file.",
)
@click.option("--diff", is_flag=True, help="Also the two specs line by line, without what is default.")
@output
@connected
@reporting
def plan_command(
    new_file: io.TextIOWrapper,
    current_file: io.TextIOWrapper | None,
    prices_file: io.TextIOWrapper | None,
    diff: bool,
    output: str,
    kubeconfig: str | None,
    context: str | None,
    namespace: str | None,
) -> None:
    """See _HELP."""
    if current_file and (kubeconfig or context):
        raise click.UsageError("--current asks no cluster; leave out --kubeconfig and --context")
    cluster = None if current_file else Cluster.open(kubeconfig, context)
    fallback = namespace or (cluster.namespace if cluster else "default")
    new = indexes_in(new_file, new_file.name, fallback)
    present = indexes_in(current_file, current_file.name, fallback) if current_file else []
    prices = text_in(prices_file) if prices_file else None
    planned = []
    for each in new:
        planned.append(_planned(each, present, cluster, prices, new_file.name if diff else ""))
        if output == "text":
            click.echo(_text(planned[-1]), nl=False)
    if output == "json":
        told = [_json(each) for each in planned]
        click.echo(json.dumps(told[0] if len(told) == 1 else told, ensure_ascii=False, indent=2))
    for unasked in sorted({each.unasked for each in planned if each.unasked}):
        click.echo(f"The API server has the last word on what is valid; {unasked}.", err=True)
    sys.exit(_exit_code([each.told.kind for each in planned]))


def _planned(
    new: Object, present: Sequence[Object], cluster: Cluster | None, prices: str | None, diff_from: str
) -> Planned:
    name, namespace = new["metadata"].get("name", ""), new["metadata"]["namespace"]
    if cluster:
        live = cluster.get(namespace, name)
        refusals, unasked = cluster.refusals(new, live)
    else:
        live = _same(present, name, namespace)
        refusals, unasked = [], "it was not asked"
    try:
        index = SemanticSearchIndex.parse(new)
    except InvalidResource as error:
        raise Unreadable("; ".join(refusals) or str(error)) from error
    now, current = clock(), SemanticSearchIndex.parse(live) if live else None
    shared = shared_prices(index, cluster, prices)
    told, with_prices = forecast(index, current, now, refusals, shared), priced(index, shared)
    status: Mapping[str, Any] = current.status if current else {}
    bills = months(with_prices.spec, now, (status.get("encoder") or {}).get("startSeconds"))
    allowed = bills[0].allowed if bills else index.spec.encoder.autoscaling.max_replicas
    return Planned(
        index=index,
        told=told,
        parts=parts(index, allowed),
        rows=next((r.get("rows") for r in status.get("releases") or () if r.get("role") == "Active"), None),
        months=bills,
        diff=_diff(index, current, diff_from) if diff_from else "",
        unasked=unasked,
    )


def _text(planned: Planned) -> str:
    text = text_of(planned.told, planned.index, clock())
    if planned.told.kind is not Kind.REFUSED:
        cost = planned.index.spec.cost
        lines = [*capacity_lines(planned.index, planned.parts, planned.rows)]
        lines += month_lines(planned.months, cost.currency) if cost else ()
        text += "\n".join(lines) + "\n"
    return text + (f"\n{planned.diff}" if planned.diff else "")


def _json(planned: Planned) -> dict[str, Any]:
    found = forecast_json(planned.told, planned.index, planned.parts, planned.rows, planned.months)
    return found | ({"diff": planned.diff} if planned.diff else {})


def _diff(new: SemanticSearchIndex, current: SemanticSearchIndex | None, name: str) -> str:
    """Unified, of the specs as YAML without what is default; empty when they are the same."""
    before, after = (_spec(index) if index else [] for index in (current, new))
    old = f"live {new.namespace}/{new.name}" if current else "/dev/null"
    return "".join(difflib.unified_diff(before, after, old, name))


def _spec(index: SemanticSearchIndex) -> list[str]:
    body = index.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return yaml.safe_dump({"spec": body}, allow_unicode=True).splitlines(keepends=True)


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
