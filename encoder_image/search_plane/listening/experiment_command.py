"""`python -m search_plane experiment report`."""

from datetime import UTC, datetime
from pathlib import Path

import click

from search_plane.listening.reading import Source, read_searches, source_options

_EXAMPLES = """\b
Examples:
  kubectl logs -n search -l app.kubernetes.io/component=gateway --tail=-1 | \\
      python -m search_plane experiment report --log - --plot experiment.png
  python -m search_plane experiment report --log monday.jsonl --log tuesday.jsonl.gz --control keyword
  python -m search_plane experiment report --elasticsearch https://es:9200 --ca ca.crt --credentials ./es \\
      --index search-log --since 2026-11-16 --until 2026-11-23 --json > report.json
"""


@click.group(help="Experiments on the search: which way of searching do people click more in?")
def group() -> None:
    """The commands' group."""


@group.command(
    "report",
    help="Click-through, rank of the first click and zero-result rate of each arm, and each arm's difference to the "
    "control with its confidence interval (a bootstrap over buckets of users).\n\n" + _EXAMPLES,
)
@source_options
@click.option("--experiment", help="Its name, where the log holds several.")
@click.option("--control", help="The arm to compare with.  [default: keyword, else the first]")
@click.option(
    "--by",
    type=click.Choice(["arm", "re-ranker"]),
    default="arm",
    show_default=True,
    help="Compare the experiment's arms, or the re-ranker's cohort with everybody else.",
)
@click.option("--plot", "picture", type=click.Path(path_type=Path, dir_okay=False), help="Write a PNG.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
def report(
    logs: tuple[Path, ...],
    elasticsearch: str | None,
    index: str | None,
    credentials: str | None,
    ca: str | None,
    since: datetime | None,
    until: datetime | None,
    experiment: str | None,
    control: str | None,
    by: str,
    picture: Path | None,
    as_json: bool,
) -> None:
    """See the command's help."""
    try:
        from search_plane.listening.experiment_report import NoExperiment, experiment_report
        from search_plane.listening.experiment_text import as_text, plot
    except ImportError as error:
        raise click.ClickException(f"{error}: install the report extra (scipy, matplotlib)") from error
    source = Source(logs, elasticsearch, index, credentials, ca, in_utc(since), in_utc(until))
    found = read_searches(source)
    try:
        told = experiment_report(
            found.searches, by="re-ranker" if by == "re-ranker" else "arm", name=experiment, control=control
        )
    except NoExperiment as error:
        raise click.ClickException(str(error)) from error
    if picture is not None:
        plot(picture, told)
    click.echo(told.model_dump_json(indent=2) if as_json else as_text(told))


def in_utc(time: datetime | None) -> datetime | None:
    """Times of the command line are UTC, as those of the log."""
    return time.replace(tzinfo=UTC) if time is not None else None


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    group(arguments, prog_name="search_plane experiment")
    return 0
