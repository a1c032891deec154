"""`promote`, `rollback`, `refresh`, `pause` and `resume`: they change the spec as a person would, and say what to commit."""

import json
from collections.abc import Callable

import click

from search_operator.cli.completion import index_name
from search_operator.cli.edits import (
    Edit,
    dotted,
    operations,
    pause,
    promotion,
    refresh,
    rollback,
    rollback_cleared,
    snippet,
)
from search_operator.cli.live import Live, Moved, told
from search_operator.cli.options import clock, connected, dry_run, fail, reporting
from search_operator.cli.resources import Object

_TRIES = 5

_PROMOTE_HELP = """Let the candidate take over that has passed its gates and waits for approval (rollout.promotion:
Manual): sets spec.rollout.approvedRelease.

\b
Examples:
  kubectl ssi promote products -n search
  kubectl ssi promote products -n search --dry-run
  kubectl ssi promote products -n search --release r-1a2b3c4d   # beforehand: it takes over once its gates pass
"""
_ROLLBACK_HELP = """Answer from the retained release, within seconds and whatever the rest of the spec asks for: sets
spec.rollout.rollbackTo. With --clear, remove it again and go forward.

\b
Examples:
  kubectl ssi rollback products -n search
  kubectl ssi rollback products -n search --to r-1a2b3c4d
  kubectl ssi rollback products -n search --clear    # after the spec was put right
"""
_REFRESH_HELP = """Ask for one refresh now: what has changed in the catalogue is embedded again, in place. Sets an
annotation, which Git tools leave alone. With --full, a whole new release is built from nothing (spec.refresh.mode: Full).

\b
Examples:
  kubectl ssi refresh products -n search
  kubectl ssi refresh products -n search --full --dry-run
"""
_PAUSE_HELP = """Hold back every change of the operator: sets spec.paused. What runs goes on running, queries are answered.

\b
Examples:
  kubectl ssi pause products -n search
  kubectl ssi pause products -n search --dry-run
"""
_RESUME_HELP = """Let the operator go on after a pause: sets spec.paused to false.

\b
Examples:
  kubectl ssi resume products -n search
"""


@click.command(
    name="promote", help=_PROMOTE_HELP, short_help="Let the candidate take over that waits for it."
)
@index_name
@click.option("--release", help="The candidate's name, to approve it before it has passed its gates.")
@dry_run
@connected
@reporting
def promote_command(
    name: str | None,
    release: str | None,
    dry_run: bool,
    namespace: str | None,
    context: str | None,
    kubeconfig: str | None,
) -> None:
    """See _PROMOTE_HELP."""
    _change(Live.open(kubeconfig, context, namespace), name, lambda i: promotion(i, release), dry_run=dry_run)


@click.command(name="rollback", help=_ROLLBACK_HELP, short_help="Answer from the retained release again.")
@index_name
@click.option("--to", metavar="RELEASE", help="The retained release; by default the only one.")
@click.option("--clear", is_flag=True, help="Remove rollout.rollbackTo and go forward.")
@dry_run
@connected
@reporting
def rollback_command(
    name: str | None,
    to: str | None,
    clear: bool,
    dry_run: bool,
    namespace: str | None,
    context: str | None,
    kubeconfig: str | None,
) -> None:
    """See _ROLLBACK_HELP."""
    if to and clear:
        fail("--to and --clear exclude each other")
    live = Live.open(kubeconfig, context, namespace)
    _change(live, name, rollback_cleared if clear else lambda i: rollback(i, to), dry_run=dry_run)


@click.command(name="refresh", help=_REFRESH_HELP, short_help="Ask for one refresh now.")
@index_name
@click.option("--full", is_flag=True, help="Build a whole new release.")
@dry_run
@connected
@reporting
def refresh_command(
    name: str | None,
    full: bool,
    dry_run: bool,
    namespace: str | None,
    context: str | None,
    kubeconfig: str | None,
) -> None:
    """See _REFRESH_HELP."""
    now = clock()
    live = Live.open(kubeconfig, context, namespace)
    _change(live, name, lambda i: refresh(i, now, full=full), dry_run=dry_run)


@click.command(name="pause", help=_PAUSE_HELP, short_help="Hold back every change.")
@index_name
@dry_run
@connected
@reporting
def pause_command(
    name: str | None, dry_run: bool, namespace: str | None, context: str | None, kubeconfig: str | None
) -> None:
    """See _PAUSE_HELP."""
    _change(Live.open(kubeconfig, context, namespace), name, lambda i: pause(i, paused=True), dry_run=dry_run)


@click.command(name="resume", help=_RESUME_HELP, short_help="Go on after a pause.")
@index_name
@dry_run
@connected
@reporting
def resume_command(
    name: str | None, dry_run: bool, namespace: str | None, context: str | None, kubeconfig: str | None
) -> None:
    """See _RESUME_HELP."""
    _change(
        Live.open(kubeconfig, context, namespace), name, lambda i: pause(i, paused=False), dry_run=dry_run
    )


def _change(live: Live, name: str | None, decide: Callable[[Object], Edit], *, dry_run: bool) -> None:
    """Read, decide, and write on top of exactly what was read; the operator's own writes of status come in between."""
    for _ in range(_TRIES):
        index = live.one(name)
        edit = decide(index)
        if edit.assignments:
            try:
                live.patch(index, operations(index, edit), dry_run=dry_run)
            except Moved:
                continue
        _tell(index, edit, dry_run=dry_run)
        return
    fail(f"{name or 'the index'} has changed {_TRIES} times while it was read; try again")


def _tell(index: Object, edit: Edit, *, dry_run: bool) -> None:
    if not edit.assignments:
        click.echo(f"{told(index)}: nothing to change: {edit.follows}")
        return
    suffix = " (dry run: nothing was kept)" if dry_run else ""
    for each in edit.assignments:
        values = f"{_value(each.before)} -> {_value(each.after)}"
        click.echo(f"{told(index)}: {dotted(each.path)}: {values}{suffix}")
    click.echo(f"  {edit.follows}")
    for warning in edit.warnings:
        click.echo(f"Warning: {warning}", err=True)
    if edit.commit:
        click.echo("In Git, commit instead:")
        click.echo("".join(f"  {line}\n" for line in snippet(edit.commit).splitlines()), nl=False)


def _value(value: object) -> str:
    return "absent" if value is None else json.dumps(value, ensure_ascii=False)
