"""The forecast as text for a terminal or a CI log."""

import textwrap
from collections.abc import Iterator
from datetime import datetime

from search_operator.api.index import SemanticSearchIndex
from search_operator.cli.forecast import Forecast, Kind
from search_operator.cli.steps import steps, time_limit
from search_operator.decide.cost import Bill, amount
from search_operator.decide.schedule import next_due, rfc3339

_WIDTH = 110
_EFFECTS = {"NewRelease": "release", "InPlace": "in place", "Refused": "refused"}
_NAMED = 17


def text_of(told: Forecast, new: SemanticSearchIndex, now: datetime) -> str:
    """The whole plan of one index; ends with a line feed."""
    return "\n".join([*_heading(told), *_body(told, new), *_refresh(new, now)]) + "\n"


def _heading(told: Forecast) -> Iterator[str]:
    yield f"{told.namespace}/{told.name}: {told.kind}"
    yield _line("answers now", told.active or "no release")
    if told.kind is not Kind.REFUSED:
        yield _line("will answer", told.wanted or "no release")
    for note in told.notes:
        yield _line("note", note)
    for refusal in told.refusals:
        yield _line("refused", refusal)


def _body(told: Forecast, new: SemanticSearchIndex) -> Iterator[str]:
    if told.changes:
        yield "\nchanges"
        for change in told.changes:
            values = f"{change.before or 'absent'} -> {change.after or 'absent'}"
            yield _line(_EFFECTS[change.effect], f"{change.path}: {values}")
            yield _line("", change.why)
    if told.kind is Kind.REFUSED:
        return
    if told.fleets:
        yield "\nencoders while releases change hands"
        for fleet in told.fleets:
            size = (
                f"{fleet.minimum} to {fleet.maximum}" if fleet.maximum > fleet.minimum else f"{fleet.minimum}"
            )
            yield _line(fleet.releases, size)
        yield _line("together", _together(told, new))
        for shortage in told.shortages:
            yield _line("too few", shortage)
    if told.rerankers:
        yield "\nre-rankers"
        yield _line("pods", told.rerankers)
    if told.memory:
        yield "\nmemory in Milvus"
        yield _line(told.wanted, f"about {told.memory} more, all replicas, until the replaced release goes")
    if found := steps(told, new.spec):
        yield "\nsteps"
        for number, (state, what) in enumerate(found, start=1):
            limit = time_limit(state) if told.active else ""
            yield _line(f"{number} {state}", f"{what}{f' (at most {limit})' if limit else ''}")
    if told.bill:
        yield from _bill(told.bill, told.bill_during)


def _together(told: Forecast, new: SemanticSearchIndex) -> str:
    scaling, allowed = new.spec.encoder.autoscaling, sum(fleet.maximum for fleet in told.fleets)
    least = sum(fleet.minimum for fleet in told.fleets)
    limit = f"maxReplicas {scaling.max_replicas}"
    if told.bill and told.bill.allowed_max < scaling.max_replicas:
        limit += f", which the monthly cap lowers to {told.bill.allowed_max}"
    return f"at least {least}, at most {allowed} ({limit})"


def _bill(usual: Bill, during: Bill | None) -> Iterator[str]:
    yield f"\ncost in {usual.currency}; a month has 744 hours"
    hour, month = amount(usual.hour_now), amount(usual.month_at_minimum)
    yield _line("fewest encoders", f"{hour} an hour, {month} a month")
    if during:
        yield _line("during the switch", f"{amount(during.hour_now)} an hour")
    yield _line("most encoders", f"{amount(usual.month_at_maximum)} a month, of a cap of {amount(usual.cap)}")


def _refresh(new: SemanticSearchIndex, now: datetime) -> Iterator[str]:
    due = next_due(new, now)
    what = "full rebuild, as a new release" if new.spec.refresh.mode == "Full" else "incremental refresh"
    yield f"\nnext scheduled {what}: {rfc3339(due) if due else 'never'}"


def _line(name: str, said: str) -> str:
    head = f"  {name:<{_NAMED}}  "
    return textwrap.fill(
        said,
        width=_WIDTH,
        initial_indent=head,
        subsequent_indent=" " * (_NAMED + 4),
        break_long_words=False,
        break_on_hyphens=False,
    )
