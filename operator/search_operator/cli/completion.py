"""Completion of `kubectl ssi` by the tab key: kubectl asks a program kubectl_complete-ssi, in cobra's protocol."""

import sys
from typing import Any

import click
from click.shell_completion import CompletionItem, ShellComplete

from search_operator.cli.live import Live
from search_operator.cli.resources import Unreadable

# cobra's ShellCompDirectiveNoFileComp, and its default, which completes names of files.
_NO_FILES, _FILES = 4, 0


def _names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The indexes of the namespace that is given so far; none where the cluster can't be asked."""
    given: dict[str, Any] = context.params
    try:
        live = Live.open(given.get("kubeconfig"), given.get("context"), given.get("namespace"))
        names = [str(index["metadata"]["name"]) for index in live.indexes()]
    except Unreadable:
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


index_name = click.argument("name", required=False, shell_complete=_names)
"""NAME, which the tab key completes."""


def completions(words: list[str]) -> str:
    """What kubectl shall offer after these words, of which the last is incomplete."""
    from search_operator.cli.main import cli

    *before, incomplete = words or [""]
    found = ShellComplete(cli, {}, "kubectl ssi", "").get_completions(before, incomplete)
    files = any(item.type in ("file", "dir") for item in found)
    lines = [
        f"{item.value}\t{item.help}" if item.help else str(item.value)
        for item in found
        if item.type == "plain"
    ]
    return "\n".join([*lines, f":{_FILES if files else _NO_FILES}"])


def complete() -> None:
    """kubectl starts the program with the words after `kubectl ssi`."""
    click.echo(completions(sys.argv[1:]))
