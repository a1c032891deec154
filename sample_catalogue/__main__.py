"""`python -m sample_catalogue`: the sample catalogue, judged queries and clicks to files, or into Elasticsearch."""

from __future__ import annotations

from typing import Any, BinaryIO

import click
import orjson
from elasticsearch import ApiError, Elasticsearch, TransportError
from elasticsearch.helpers import BulkIndexError

from sample_catalogue.clicks import DEFAULT_QUERIES, click_log
from sample_catalogue.generate import DEFAULT_COUNT, DEFAULT_SEED, generate
from sample_catalogue.index import load
from sample_catalogue.judging import judgements

EXAMPLES = """\b
Examples:
  python -m sample_catalogue --count 2000 --seed 7 --out -
  python -m sample_catalogue --count 1000000 --out products.jsonl
  python -m sample_catalogue --count 500000 --start 500000 --out second-half.jsonl
  python -m sample_catalogue --count 2000 --seed 7 --judged judged.jsonl
  python -m sample_catalogue --count 600 --clicks clicks.jsonl --queries 300
  python -m sample_catalogue --elasticsearch http://127.0.0.1:9200 --index products
"""


@click.command(help=f"Made-up Chinese products, the same for the same seed.\n\n{EXAMPLES}")
@click.option(
    "--count", type=click.IntRange(min=0), default=DEFAULT_COUNT, show_default=True, help="How many."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=DEFAULT_SEED, show_default=True, help="Which shop."
)
@click.option("--start", type=click.IntRange(min=0), default=0, show_default=True, help="First position.")
@click.option("--out", type=click.File("wb"), help="Write JSON lines to this file; - is standard output.")
@click.option(
    "--judged",
    type=click.File("wb"),
    help="Write queries, each with the grades of the products that answer it, as the gates take them.",
)
@click.option(
    "--clicks",
    type=click.File("wb"),
    help="Write a log of clicks with hard negatives, as `search_plane encoder finetune` reads them.",
)
@click.option(
    "--queries",
    type=click.IntRange(min=1),
    default=DEFAULT_QUERIES,
    show_default=True,
    help="Different queries of --clicks, at most.",
)
@click.option("--elasticsearch", "url", metavar="URL", help="Load into this server instead.")
@click.option("--index", default="products", show_default=True, help="The index to load into.")
@click.option("--analyzer", default="smartcn", show_default=True, help="Analyzer of title and description.")
@click.option("--user", envvar="ELASTICSEARCH_USERNAME", help="Name to log in with, if the server asks.")
@click.option("--password", envvar="ELASTICSEARCH_PASSWORD", help="Password; better given in the variable.")
@click.option("--ca", type=click.Path(exists=True, dir_okay=False), help="CA certificate of the server.")
def main(
    count: int,
    seed: int,
    start: int,
    out: BinaryIO | None,
    judged: BinaryIO | None,
    clicks: BinaryIO | None,
    queries: int,
    url: str | None,
    index: str,
    analyzer: str,
    user: str | None,
    password: str | None,
    ca: str | None,
) -> None:
    """Writes or loads the catalogue; the command's help is on the command."""
    if [out, judged, clicks, url].count(None) != 3:
        raise click.UsageError(
            "say what: either --out FILE (or -), --judged FILE, --clicks FILE, or --elasticsearch URL"
        )
    if clicks is not None:
        for row in click_log(generate(count, seed, start), queries, seed):
            clicks.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        return
    if judged is not None:
        for line in judgements(generate(count, seed, start)):
            judged.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        return
    if out is not None:
        for product in generate(count, seed, start):
            out.write(orjson.dumps(product.document(), option=orjson.OPT_APPEND_NEWLINE))
        return
    login = (user, password) if user and password else None
    trust: dict[str, Any] = {"ca_certs": ca} if ca else {}
    client = Elasticsearch(url, basic_auth=login, request_timeout=60, **trust)
    with client, click.progressbar(length=count, label=f"loading {index}") as bar:
        try:
            loaded = load(
                client,
                index,
                count,
                seed,
                lambda done, _: bar.update(done - bar.pos),
                start=start,
                analyzer=analyzer,
            )
        except (ApiError, TransportError, BulkIndexError) as error:
            raise click.ClickException(f"{url} did not take the products: {error}") from error
    click.echo(f"{loaded} products in {index}", err=True)


if __name__ == "__main__":
    main(prog_name="python -m sample_catalogue")
