"""`python -m search_plane listening report`."""

import unicodedata
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from search_plane.listening.experiment_command import in_utc
from search_plane.listening.reading import Source, read_searches, source_options

if TYPE_CHECKING:
    from search_plane.listening.listening_report import ListeningReport
    from search_plane.listening.queries import QueryLine
    from search_plane.listening.rewording import Rewording

_EXAMPLES = """\b
Examples:
  python -m search_plane listening report --log searches.jsonl
  python -m search_plane listening report --log searches.jsonl --out found
      writes found/report.json, found/synonyms.txt (lines for spec.search.synonyms) and found/clicks.jsonl
  python -m search_plane listening report --elasticsearch https://es:9200 --ca ca.crt --credentials ./es \\
      --index search-log --since 2026-11-16 --least-buckets 20
  python -m search_plane encoder finetune --pairs found/clicks.jsonl ...
"""
_TOLD = 10


@click.group(help="What people look for and do not find.")
def group() -> None:
    """The commands' group."""


@group.command(
    "report",
    help="Queries that find nothing, are not clicked, score low or belong to the long tail; and out of what people did "
    "next, candidates for synonyms and for fine-tuning. Read them before you use them: they are guesses.\n\n"
    "A query is named only where people of at least --least-buckets of the 4,096 buckets asked it.\n\n"
    + _EXAMPLES,
)
@source_options
@click.option(
    "--least-buckets", type=click.IntRange(min=2), default=5, show_default=True,
    help="In how many buckets of users a query must have been asked to be named.",
)  # fmt: skip
@click.option("--most", type=click.IntRange(min=1), default=50, show_default=True, help="Lines in each list.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Write the files into this folder."
)
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
def report(
    logs: tuple[Path, ...],
    elasticsearch: str | None,
    index: str | None,
    credentials: str | None,
    ca: str | None,
    since: datetime | None,
    until: datetime | None,
    least_buckets: int,
    most: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """See the command's help."""
    try:
        from search_plane.listening.listening_report import listening_report, nameable
    except ImportError as error:
        raise click.ClickException(f"{error}: install the report extra (scipy)") from error
    from search_plane.listening.click_rows import click_rows

    source = Source(logs, elasticsearch, index, credentials, ca, in_utc(since), in_utc(until))
    searches = read_searches(source).searches
    told = listening_report(searches, least_buckets, most)
    click.echo(told.model_dump_json(indent=2) if as_json else as_text(told))
    if out is None:
        return
    rows = click_rows(searches, nameable(searches, least_buckets))
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.json").write_text(told.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (out / "synonyms.txt").write_text("".join(f"{line}\n" for line in told.synonyms), encoding="utf-8")
        with (out / "clicks.jsonl").open("w", encoding="utf-8") as stream:
            for row in rows:
                stream.write(row.model_dump_json(exclude_none=True, exclude_defaults=True) + "\n")
    except OSError as error:
        raise click.ClickException(f"--out {out}: can't be written: {error.strerror or error}") from error
    click.echo(
        f"{out}: report.json, synonyms.txt ({len(told.synonyms)} lines), clicks.jsonl ({len(rows):,} rows)",
        err=True,
    )


def as_text(told: "ListeningReport") -> str:
    """The first lines of each list, for a terminal."""
    head, tail = told.head, told.tail
    lines = [
        f"{told.searches:,} searches, {told.since} to {told.until}",
        f"{told.hidden_queries:,} queries ({told.hidden_searches / max(1, told.searches):.1%} of the searches) were asked "
        f"in fewer than {told.least_buckets} buckets of users and are not named",
        f"head: {head.queries:,} queries, click-through {head.click_through:.1%}, zero results {head.zero_results:.1%}; "
        f"tail: {tail.queries:,} queries, click-through {tail.click_through:.1%}, zero results {tail.zero_results:.1%}",
    ]
    if told.without_key:
        lines.append(
            f"{told.without_key:,} searches came without X-User-Key or X-Session-Key and count towards no bucket"
        )
    for title, found in (
        ("find nothing", told.zero_results),
        ("find something that is not clicked", told.abandoned),
        ("first hits score low", told.unsure),
        ("long tail", told.long_tail),
    ):
        lines += ["", *_table(title, found)]
    lines += ["", *_rewordings("reformulated", told.reformulated)]
    lines += ["", *_rewordings("clicked alike", told.clicked_alike)]
    return "\n".join(lines)


def _table(title: str, found: "tuple[QueryLine, ...]") -> Iterable[str]:
    yield f"{title}: {len(found)}"
    if found:
        yield _row("query", "searches", "buckets", "clicked", "zero", "score", "margin")
    for one in found[:_TOLD]:
        score = f"{one.top_score:.4f}" if one.top_score is not None else "-"
        margin = f"{one.margin:.4f}" if one.margin is not None else "-"
        yield _row(
            one.query, f"{one.searches:,}", f"{one.buckets:,}", f"{one.click_through:.1%}", f"{one.zero_results:.1%}",
            score, margin,
        )  # fmt: skip


def _row(query: str, *cells: str) -> str:
    return f"  {_padded(query, 30)} " + " ".join(cell.rjust(8) for cell in cells)


def _rewordings(title: str, found: "tuple[Rewording, ...]") -> Iterable[str]:
    yield f"candidates for search.synonyms, {title}: {len(found)}"
    for one in found[:_TOLD]:
        why = f"in {one.buckets} buckets"
        if one.p is not None:
            why += f", the other way in {one.against} (p {one.p:.1g})"
        if one.similarity is not None:
            why += f", clicks {one.similarity:.2f} alike"
        first, second = one.queries[0]
        yield f"  {_padded(one.line, 30)} {why}, e.g. {first} / {second}"


def _padded(text: str, width: int) -> str:
    """Chinese characters take two columns."""
    taken = sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
    return text + " " * max(0, width - taken)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    group(arguments, prog_name="search_plane listening")
    return 0
