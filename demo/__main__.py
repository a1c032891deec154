"""`python -m demo up|down|ask|build`."""

from __future__ import annotations

import os
import sys

import click
from rich.console import Console

from demo.cluster_access import service_url
from demo.down import down
from demo.parts import GATEWAY, INSTANCE, SEARCH_NAMESPACE
from demo.queries import HITS, ask, hits_table
from demo.steps import StepFailed
from demo.up import build, up
from tests.testbed.cluster import TestbedError, find

_EXAMPLES = """\b
Examples:
  python -m demo up                          what `make demo` runs
  python -m demo ask 适合送老人的保健品         one query through the gateway
  python -m demo ask --hits 3 性价比之王的耳机
  python -m demo down                        what `make demo-down` runs
  KUBECONFIG=~/.kube/config python -m demo up --images-on-nodes
"""
# Tables of products need this much; a terminal says its own width.
_PLAIN_WIDTH = 110


@click.group(help=f"One YAML file to an answered query, on real parts.\n\n{_EXAMPLES}")
def main() -> None:
    """Commands of the demo; the help is on the command."""


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PLAIN_WIDTH)


@main.command("up")
@click.option(
    "--images-on-nodes",
    is_flag=True,
    help="With KUBECONFIG: the nodes have the localhost/semantic-search images already.",
)
def up_command(images_on_nodes: bool) -> None:
    """Bring up cluster, stores, operator and index, and ask three queries. Run it again at will."""
    sys.exit(up(_console(), images_are_there=images_on_nodes))


@main.command("build")
@click.option("--for-tests", is_flag=True, help="Also what only the tests start.")
def build_command(for_tests: bool) -> None:
    """Build all that `up` needs into the cache, and start nothing."""
    sys.exit(build(_console(), for_tests=for_tests))


@main.command("down")
def down_command() -> None:
    """Remove everything that `up` made, but the cache of built programs and images."""
    sys.exit(down(_console()))


@main.command("ask")
@click.argument("query", nargs=-1, required=True)
@click.option("--hits", type=click.IntRange(1, 100), default=HITS, show_default=True, help="How many.")
def ask_command(query: tuple[str, ...], hits: int) -> None:
    """Ask the demo's gateway."""
    try:
        cluster = find(INSTANCE)
        if cluster is None:
            raise click.ClickException("the demo is not up; run `make demo` first")
        with service_url(cluster, SEARCH_NAMESPACE, GATEWAY) as gateway:
            _console().print(hits_table(ask(gateway, " ".join(query), hits)))
    except (StepFailed, TestbedError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main(prog_name="python -m demo")
