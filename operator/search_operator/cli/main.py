"""`kubectl ssi` and `python -m search_operator`: the same commands."""

import sys
from collections.abc import Sequence
from typing import Any

import click

from search_operator.cli.changing import (
    pause_command,
    promote_command,
    refresh_command,
    resume_command,
    rollback_command,
)
from search_operator.cli.costing import cost_command
from search_operator.cli.planning import plan_command
from search_operator.cli.showing import explain_command, status_command
from search_operator.cli.simulate import simulate_command

_HELP = """Look at, foresee and steer SemanticSearchIndexes: indexes of product search that an operator runs.

What shows things takes -o json. What changes something edits the spec as you would, and says what to commit to Git.

\b
Examples:
  kubectl ssi status -A
  kubectl ssi explain products -n search
  kubectl ssi plan -f products.yaml --diff
  kubectl ssi rollback products -n search --dry-run
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, help=_HELP)
def cli() -> None:
    """See _HELP."""


for command in (
    plan_command,
    simulate_command,
    status_command,
    cost_command,
    explain_command,
    promote_command,
    rollback_command,
    refresh_command,
    pause_command,
    resume_command,
):
    cli.add_command(command)


def run(arguments: Sequence[str]) -> Any:
    """Run the command line with these arguments; ends the process."""
    return cli(list(arguments), prog_name="python -m search_operator")


def plugin() -> Any:
    """`kubectl ssi ...`: kubectl starts the program kubectl-ssi with what follows; ends the process."""
    return cli(sys.argv[1:] or ["--help"], prog_name="kubectl ssi")
