"""The search log from files of JSON lines, or from an index or data stream in Elasticsearch."""

import gzip
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import click
import orjson
from elasticsearch import ApiError
from elasticsearch.helpers import ScanError, scan

from search_plane.listening.events import Click, Exposure, Malformed, Searches, joined, parsed
from search_plane.release.record import CatalogueTarget
from search_plane.stores.catalogue import CATALOGUE_ERRORS, connect_blocking, describe

F = TypeVar("F", bound=Callable[..., Any])

_PAGE = 2_000
_REQUEST_SECONDS = 60.0
_TOLD = 5


@dataclass(frozen=True, slots=True)
class Source:
    """Where the log is: files, or an index in Elasticsearch. From `since` on, and before `until`."""

    files: tuple[Path, ...] = ()
    elasticsearch: str | None = None
    index: str | None = None
    credentials: str | None = None
    ca: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(slots=True)
class Tally:
    """Lines that were passed over: those of other loggers, and events that can't be read."""

    other: int = 0
    malformed: list[Malformed] = field(default_factory=list)


def source_options(command: F) -> F:
    """The options that say where the log is."""
    for option in reversed(
        [
            click.option(
                "--log", "logs", multiple=True, type=click.Path(path_type=Path, allow_dash=True),
                help="File of JSON lines, as gateways wrote them or kubectl logs gives them; .gz too; - is standard input; "
                "repeatable.",
            ),
            click.option("--elasticsearch", metavar="URL", help="Read the log from this server instead."),
            click.option("--index", help="The index or data stream of the log."),
            click.option("--credentials", metavar="DIR", help="Folder with a file api_key, or username and password."),
            click.option("--ca", metavar="FILE", help="CA certificate of the server."),
            click.option("--since", type=click.DateTime(), help="From this time on (UTC)."),
            click.option("--until", type=click.DateTime(), help="Before this time (UTC)."),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


def read_searches(source: Source) -> Searches:
    """The searches of the log; tells on stderr what it left out. Raises click.ClickException where it can't be read."""
    if bool(source.files) == bool(source.elasticsearch):
        raise click.UsageError("say where the log is: either --log FILE, or --elasticsearch URL with --index")
    if source.elasticsearch and not source.index:
        raise click.UsageError("--index: say which index or data stream holds the log")
    tally = Tally()
    found = joined(_events(source, tally))
    for one in tally.malformed[:_TOLD]:
        click.echo(f"left out {one.place}: {one.reason}", err=True)
    left_out = dict(found.left_out)
    if tally.malformed:
        left_out["malformed"] = len(tally.malformed)
    if tally.other:
        left_out["a line of another logger"] = tally.other
    for reason, count in left_out.items():
        click.echo(f"left out {count:,}: {reason}", err=True)
    if not found.searches:
        raise click.ClickException(
            "no searches in the log; is spec.search.log.destination set, and --since right?"
        )
    return Searches(found.searches, left_out)


def _events(source: Source, tally: Tally) -> Iterator[Exposure | Click]:
    pairs = _documents(source) if source.elasticsearch else _lines(source.files)
    for place, value in pairs:
        event = parsed(place, value)
        if event is None:
            tally.other += 1
        elif isinstance(event, Malformed):
            tally.malformed.append(event)
        # Clicks come after their answers, so that those on a late one are needed too.
        elif (source.since is None or event.at >= source.since) and (
            source.until is None or isinstance(event, Click) or event.at < source.until
        ):
            yield event


def _lines(files: Iterable[Path]) -> Iterator[tuple[str, object]]:
    for path in files:
        try:
            with _opened(path) as stream:
                for number, line in enumerate(stream, 1):
                    # Blank lines and those of programs that don't log JSON.
                    if line.lstrip()[:1] != b"{":
                        if line.strip():
                            yield "", None
                        continue
                    try:
                        yield f"{path.name} line {number}", orjson.loads(line)
                    except orjson.JSONDecodeError:
                        yield "", None
        except (OSError, EOFError) as error:
            raise click.ClickException(f"{path}: can't be read: {error}") from error


def _opened(path: Path) -> BinaryIO:
    if str(path) == "-":
        return sys.stdin.buffer
    return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _documents(source: Source) -> Iterator[tuple[str, object]]:
    target = CatalogueTarget(
        url=source.elasticsearch or "",
        index=source.index or "",
        credentials_dir=source.credentials,
        ca_file=source.ca,
    )
    within = {"gte": source.since.isoformat()} if source.since else {}
    query = {"query": {"range": {"@timestamp": within}}} if within else {"query": {"match_all": {}}}
    try:
        with connect_blocking(target, timeout=_REQUEST_SECONDS) as client:
            for hit in scan(client, index=target.index, query=query, size=_PAGE, preserve_order=False):
                yield f"{hit['_index']}/{hit['_id']}", hit["_source"]
    except (*CATALOGUE_ERRORS, ScanError) as error:
        reason = (
            "it does not exist"
            if isinstance(error, ApiError) and error.status_code == 404
            else describe(error)
        )
        raise click.ClickException(f"{target.url} {target.index}: {reason}") from error
