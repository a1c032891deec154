"""What every verb takes, and how every verb ends: one line on standard error and exit code 2, never a traceback."""

import functools
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

import click

from search_operator.api.index import InvalidResource
from search_operator.cli.resources import Unreadable

EXIT_ERROR = 2
_Verb = TypeVar("_Verb", bound=Callable[..., Any])

output = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How it is printed.",
)
dry_run = click.option(
    "--dry-run", is_flag=True, help="The API server checks the change and does not keep it."
)


def connected(verb: _Verb) -> _Verb:
    """Add --namespace, --context and --kubeconfig, as kubectl has them."""
    for option in (
        click.option("--kubeconfig", help="Path of the kubeconfig; by default as kubectl finds it."),
        click.option("--context", help="Context of the kubeconfig."),
        click.option("-n", "--namespace", help="By default the context's."),
    ):
        verb = option(verb)
    return verb


def reporting(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what can't be read or changed into one line and exit code 2."""

    @functools.wraps(verb)
    def guarded(*arguments: Any, **options: Any) -> Any:
        # urllib3 would write of each failed attempt, beside the one line that tells it.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        try:
            return verb(*arguments, **options)
        except (Unreadable, InvalidResource) as error:
            fail(str(error))
        except KeyboardInterrupt:
            sys.exit(130)

    return guarded


def fail(message: str) -> NoReturn:
    """One line on standard error, and the end."""
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    sys.exit(EXIT_ERROR)


def clock() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)
