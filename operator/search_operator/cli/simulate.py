"""`simulate`: a year of traffic through autoscaler, windows and guard, before it comes."""

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from search_operator.api.index import InvalidResource, SemanticSearchIndex
from search_operator.api.spec import Spec
from search_operator.api.values import duration_of
from search_operator.cli.resources import Unreadable, indexes_in
from search_operator.money.tariff import micros
from search_operator.simulation.report import as_json, table
from search_operator.simulation.run import QUERIES_PER_ENCODER, Scenario, scenario_of, simulate
from search_operator.simulation.traffic import BadTrace, as_csv, built_in, read_trace

_HELP = """Run a year of traffic through the HPA, the pre-warm windows and the money's guard in simulated time, with the
operator's own functions, and tell for each month what runs, what it costs and what is lost. Asks no cluster.

Without -f, the use case is simulated: 4 to 12 encoders, 5,000 USD a month, windows for 618 and Double 11. Without
--trace, a built-in year with those peaks.

\b
Examples:
  kubectl ssi simulate
  kubectl ssi simulate -f products.yaml --peak 8000 --png year.png
  kubectl ssi simulate --cap 3400 --json > year.json
  kubectl ssi simulate --write-trace year.csv     # to edit, and then
  kubectl ssi simulate --trace year.csv
"""
_WINDOW = {"duration": "32h", "replicas": 12}
_USE_CASE: dict[str, Any] = {
    "encoder": {
        "model": "m3e-base",
        "weights": {"bakedIn": {}, "sha256": "0" * 64},
        "autoscaling": {
            "prewarm": [
                {"name": "618", "start": "0 18 17 6 *", **_WINDOW},
                {"name": "double-11", "start": "0 18 10 11 *", **_WINDOW},
            ]
        },
    },
    "vectorStore": {"milvus": {"endpoint": "milvus:19530"}},
    "catalogue": {
        "elasticsearch": {"endpoint": "http://elasticsearch:9200", "index": "p", "textTemplate": "{t}"}
    },
    "cost": {
        "monthlyCap": "5000",
        "prices": {
            "asOf": "2026-11-01",
            "encoderNodeHour": "0.35",
            "milvusNodes": {"count": 4, "nodeHour": "0.68"},
        },
    },
}


@click.command(name="simulate", help=_HELP, short_help="A year of traffic, scaling and spend.")
@click.option(
    "-f",
    "--filename",
    "resource",
    type=click.File(encoding="utf-8"),
    help="The resource as YAML; - is stdin.",
)
@click.option(
    "--trace",
    "trace_file",
    type=click.File(encoding="utf-8"),
    help="CSV: time,queries_per_second; by the hour.",
)
@click.option(
    "--write-trace",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the built-in year as CSV, and end.",
)
@click.option(
    "--year", type=click.IntRange(2000, 2100), default=2026, show_default=True, help="Of the built-in year."
)
@click.option(
    "--peak",
    type=click.FloatRange(min=0),
    default=10_000,
    show_default=True,
    help="Its highest queries per second.",
)
@click.option("--cap", help="Another monthly cap than the resource's.")
@click.option("--start", default="5m", show_default=True, help="How long an encoder takes to start.")
@click.option(
    "--queries-per-encoder",
    type=click.FloatRange(min=1),
    default=QUERIES_PER_ENCODER,
    show_default=True,
    help="That one encoder carries in a second.",
)
@click.option("--no-prewarm", is_flag=True, help="Leave the windows out, to see what they are for.")
@click.option(
    "--json", "print_json", is_flag=True, help="Every month and hour as JSON, instead of the table."
)
@click.option("--png", type=click.Path(dir_okay=False, path_type=Path), help="Plot the year into this file.")
def simulate_command(
    resource: io.TextIOWrapper | None,
    trace_file: io.TextIOWrapper | None,
    write_trace: Path | None,
    year: int,
    peak: float,
    cap: str | None,
    start: str,
    queries_per_encoder: float,
    no_prewarm: bool,
    print_json: bool,
    png: Path | None,
) -> None:
    """See _HELP."""
    try:
        scenario = scenario_of(_spec(resource), duration_of(start), queries_per_encoder)
        scenario = _with_cap(scenario, cap) if cap else scenario
        trace = read_trace(trace_file.read()) if trace_file else built_in(year, peak, scenario.zone)
    except (Unreadable, InvalidResource, BadTrace, ValueError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    if write_trace:
        write_trace.write_text(as_csv(trace), encoding="utf-8")
        return
    result = simulate(replace(scenario, windows=()) if no_prewarm else scenario, trace)
    click.echo(json.dumps(as_json(result)) + "\n" if print_json else table(result), nl=False)
    if png:
        _plot(png, result)


def _spec(resource: io.TextIOWrapper | None) -> Spec:
    if resource is None:
        return Spec.model_validate(_USE_CASE)
    found = indexes_in(resource, resource.name, "default")
    if len(found) > 1:
        raise Unreadable(f"{resource.name} holds {len(found)} indexes; simulate one")
    return SemanticSearchIndex.parse(found[0]).spec


def _with_cap(scenario: Scenario, cap: str) -> Scenario:
    if scenario.tariff is None:
        raise ValueError("--cap needs prices; give spec.cost.prices")
    try:
        amount = micros(cap)
    except ArithmeticError as error:
        raise ValueError(f"--cap {cap!r} is no amount; write e.g. 5000") from error
    return replace(scenario, tariff=replace(scenario.tariff, cap=amount))


def _plot(path: Path, result: Any) -> None:
    try:
        from search_operator.simulation.plot import plot
    except ImportError as error:
        click.echo(f"Error: --png: {error}; pip install 'semantic-search-operator[report]'", err=True)
        sys.exit(2)
    plot(path, result)
