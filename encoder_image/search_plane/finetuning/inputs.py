"""From the command's arguments to pairs: the rows are read, their products resolved, and what is skipped is told."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from search_plane.finetuning.click_index import catalogue_texts, index_rows
from search_plane.finetuning.files import file_rows
from search_plane.finetuning.pairs import Limits, Pairs, Texts, made
from search_plane.finetuning.products import file_texts
from search_plane.finetuning.rows import Refused, Row, Skipped
from search_plane.jobs.rendering import Renderer
from search_plane.release.record import CatalogueTarget

# As the resource's own default, so that a catalogue without another template needs none here.
DEFAULT_TEMPLATE = "{brand} {title} {category}"
_TOLD = 20


@dataclass(frozen=True, slots=True)
class Inputs:
    """The pairs, and the lines of the file of products that are no product."""

    pairs: Pairs
    bad_products: tuple[Skipped, ...]

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Everything that was read and is not used."""
        return (*self.bad_products, *self.pairs.skipped)


def add_input_arguments(parser: argparse.ArgumentParser) -> None:
    """Where clicks and products are, and what counts say."""
    limits = Limits()
    clicks = parser.add_argument_group("clicks").add_mutually_exclusive_group(required=True)
    clicks.add_argument("--pairs", type=Path, metavar="FILE", help="click rows, .jsonl or .parquet")
    clicks.add_argument("--clicks-index", metavar="INDEX", help="click rows as documents in Elasticsearch")
    products = parser.add_argument_group("products, where rows name them by id")
    source = products.add_mutually_exclusive_group()
    source.add_argument("--products", type=Path, metavar="FILE", help="catalogue documents, JSON lines")
    source.add_argument("--catalogue-index", metavar="INDEX", help="catalogue documents in Elasticsearch")
    add = products.add_argument
    add("--text-template", default=DEFAULT_TEMPLATE, help="the resource's (default: %(default)s)")
    add("--id-field", default="sku", help="the documents' field with the id (default: %(default)s)")
    add = parser.add_argument_group("Elasticsearch").add_argument
    add("--elasticsearch", metavar="URL")
    add("--clicks-filter", default="", metavar="LUCENE", help="which click rows, e.g. day:[now-90d TO *]")
    add("--credentials", metavar="DIR", help="folder with a file api_key, or username and password")
    add("--ca", metavar="FILE", help="CA certificate of the server")
    add = parser.add_argument_group("hard negatives").add_argument
    add(
        "--negatives",
        type=int,
        default=limits.negatives,
        help="at most so many a pair (default: %(default)s)",
    )
    add(
        "--least-impressions",
        type=int,
        default=limits.least_impressions,
        help="of a row with counts, to be a hard negative (default: %(default)s)",
    )
    add(
        "--most-ctr",
        type=float,
        default=limits.most_ctr,
        help="clicks a showing of one (default: %(default)s)",
    )


def read_inputs(chosen: argparse.Namespace) -> Inputs:
    """Raises Refused where something can't be read, or no row is left."""
    try:
        renderer = Renderer(chosen.text_template, chosen.id_field)
    except ValueError as error:
        raise Refused(f"--text-template: {error}") from error
    if chosen.negatives < 0:
        raise Refused(f"--negatives {chosen.negatives}: expected 0 or more")
    if chosen.pairs is not None:
        rows = list(file_rows(chosen.pairs))
    else:
        rows = index_rows(_target(chosen, chosen.clicks_index, chosen.clicks_filter))
    texts, bad_products = _texts(chosen, renderer, rows)
    limits = Limits(chosen.least_impressions, chosen.most_ctr, chosen.negatives)
    return Inputs(made(rows, texts, limits), tuple(bad_products))


def tell_skipped(skipped: tuple[Skipped, ...], path: Path, tell: Callable[[str], None]) -> None:
    """Write every skipped row to `path`, JSON lines, and tell of the first few; an older file goes."""
    path.unlink(missing_ok=True)
    if not skipped:
        return
    path.write_bytes(
        b"".join(
            orjson.dumps(
                {"place": row.place, "reason": row.reason, "detail": row.detail},
                option=orjson.OPT_APPEND_NEWLINE,
            )
            for row in skipped
        )
    )
    for row in skipped[:_TOLD]:
        tell(f"skipped {row}")
    if len(skipped) > _TOLD:
        tell(f"skipped {len(skipped) - _TOLD} more")
    tell(f"all {len(skipped)} skipped rows: {path}")


def _texts(
    chosen: argparse.Namespace, renderer: Renderer, rows: list[Row | Skipped]
) -> tuple[Texts, list[Skipped]]:
    wanted = {id for row in rows if isinstance(row, Row) for id in row.click.ids}
    if not wanted:
        return {}, []
    if chosen.products is not None:
        return file_texts(chosen.products, renderer, wanted)
    if chosen.catalogue_index is not None:
        return catalogue_texts(_target(chosen, chosen.catalogue_index, ""), renderer, wanted), []
    raise Refused(
        f"the rows name {len(wanted)} products by id: give --products or --catalogue-index to look them up in"
    )


def _target(chosen: argparse.Namespace, index: str, lucene: str) -> CatalogueTarget:
    if not chosen.elasticsearch:
        raise Refused(f"--elasticsearch: needed to read {index}")
    return CatalogueTarget(
        url=chosen.elasticsearch,
        index=index,
        filter=lucene,
        credentials_dir=chosen.credentials,
        ca_file=chosen.ca,
    )
