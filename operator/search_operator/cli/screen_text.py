"""The status screens as rich renderables."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from search_operator.cli.drawing import bar, columns, grid
from search_operator.cli.screen import (
    EncoderFleet,
    Money,
    Progress,
    ReleaseLine,
    Screen,
    WindowLine,
    encoders,
)
from search_operator.cli.times import ago, span, until

_ROLES = {"Active": "green", "Candidate": "cyan", "Failed": "red", "Previous": "", "Retiring": "dim"}
_SIGNS = {"Passed": ("✓", "green"), "Failed": ("✗", "red")}
_HEAD = ("NAME", "READY", "PHASE", "RELEASE", "CANDIDATE", "ROWS", "ENCODERS", "SPENT", "PROJECTED", "CAP")
_NUMBERS = ("ROWS", "SPENT", "PROJECTED", "CAP")


def screen_text(told: Screen, now: datetime) -> RenderableType:
    """One index on one screen."""
    table = grid()
    for label, part in _parts(told, now):
        table.add_row(label, part)
    return Group(_headline(told), table)


def table_text(told: Sequence[Screen], *, namespaces: bool) -> RenderableType:
    """One line an index."""
    table = columns(("NAMESPACE", *_HEAD) if namespaces else _HEAD, right=_NUMBERS)
    for each in told:
        fleet, money = each.fleet, each.money
        cells = (
            *((each.namespace,) if namespaces else ()),
            each.name,
            Text("True", "green") if each.ready else Text("False", "red"),
            each.phase,
            each.active or "-",
            each.candidate or "-",
            each.rows or "-",
            f"{fleet.ready}/{fleet.desired} of {fleet.allowed or fleet.maximum}" if fleet else "-",
            *((money.spent, money.projected, f"{money.cap} {money.currency}") if money else ("-",) * 3),
        )
        table.add_row(*cells)
    return table


def _headline(told: Screen) -> Text:
    text = Text(f"{told.namespace}/{told.name}  ", style="bold")
    text.append(told.phase, "green" if told.ready else "yellow")
    text.append(f"  {'Ready' if told.ready else 'not Ready'}", "green" if told.ready else "red")
    answers = f"{told.active} answers" if told.active else "nothing answers yet"
    text.append(f"  {answers}{f', {int(told.rows):,} rows' if told.rows.isdecimal() else ''}", "")
    return text


def _parts(told: Screen, now: datetime) -> Iterator[tuple[str, RenderableType]]:
    if told.note:
        yield "note", Text(told.note, "yellow")
    if told.doing:
        yield "working at", Text(told.doing)
    for number, release in enumerate(told.releases):
        yield "" if number else "releases", _release(release, now)
    if told.fleet:
        yield "encoders", _fleet(told.fleet)
    for number, window in enumerate(told.windows):
        yield "" if number else "windows", Text(_window(window, now))
    if told.gateways:
        yield "gateways", Text(told.gateways)
    if refresh := told.refresh:
        if refresh.progress:
            yield "refresh", Group(Text("running"), progress_text(refresh.progress, now))
        elif refresh.running or refresh.next or refresh.message:
            said = ["running" if refresh.running else f"next {until(refresh.next, now) or 'not planned'}"]
            said += [f"last success {ago(refresh.last_success, now)}"] if refresh.last_success else []
            said += [refresh.message] if refresh.message else []
            yield "refresh", Text("; ".join(said))
    if told.money:
        yield "money", money_text(told.money, now)
    for number, concern in enumerate(told.concerns):
        text = Text(f"{concern.type} {concern.status} ", "yellow")
        text.append(f"{concern.reason}: ", "").append(concern.message, "")
        text.append(f" ({ago(concern.since, now)})" if concern.since else "", "dim")
        yield "" if number else "not fine", text
    if not told.concerns and not told.note:
        yield "conditions", Text("all as they should be", "dim")


def _release(release: ReleaseLine, now: datetime) -> RenderableType:
    head = Text(f"{release.name}  ").append(release.role, _ROLES.get(release.role, ""))
    if release.stage:
        head.append(f" {release.stage}")
    facts = [f"{release.rows:,} rows"] if release.rows is not None else []
    facts += [f"since {ago(release.since, now)}"] if release.since else []
    facts += [f"kept until {until(release.retained_until, now)}"] if release.retained_until else []
    facts += [f"fails {ago(release.deadline, now)} unless it gets on"] if release.deadline else []
    facts += [f"waits for {release.waiting_for}"] if release.waiting_for else []
    head.append(f"  {'; '.join(facts)}" if facts else "")
    parts: list[RenderableType] = [head]
    if release.message:
        parts.append(Text(release.message, "red"))
    if release.progress:
        parts.append(progress_text(release.progress, now))
    if gates := _gates(release):
        parts.append(gates)
    return Group(*parts)


def _gates(release: ReleaseLine) -> RenderableType | None:
    """Of a candidate or a failed one each gate; of the others how many have passed."""
    if not release.gates:
        return None
    passed = sum(gate.result == "Passed" for gate in release.gates)
    text = Text(f"{passed} of {len(release.gates)} gates passed")
    if release.role not in ("Candidate", "Failed"):
        return text
    table = Table.grid(padding=(0, 1))
    for _ in range(4):
        table.add_column(overflow="fold")
    for gate in release.gates:
        if gate.result == "Pending":
            continue
        sign, style = _SIGNS.get(gate.result, ("?", ""))
        said = f"asked {gate.threshold}" if gate.threshold else ""
        table.add_row(Text(sign, style), gate.name, gate.value or "-", _joined(said, gate.message))
    if pending := [gate.name for gate in release.gates if gate.result == "Pending"]:
        text.append(f"; not measured yet: {', '.join(pending)}", "dim")
    return Group(text, table)


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def progress_text(progress: Progress, now: datetime) -> Text:
    """A bar with numbers, rate and the expected end."""
    text = bar([(progress.done / progress.total, "█", "cyan")])
    text.append(f" {progress.percent} %  {progress.done:,} of {progress.total:,}")
    text.append(f"  {progress.rows_per_second:,} rows/s" if progress.rows_per_second else "")
    return text.append(f"  done {ago(progress.eta, now)} ({progress.eta})" if progress.eta else "")


def _fleet(fleet: EncoderFleet) -> RenderableType:
    said = [f"{fleet.ready} of {fleet.desired} ready"]
    if fleet.minimum is not None and fleet.maximum is not None:
        said.append(f"minimum {fleet.minimum}, maximum {fleet.maximum}")
    if fleet.allowed is not None:
        lowered = fleet.maximum is not None and fleet.allowed < fleet.maximum
        said.append(f"the HPA may run {fleet.allowed}{' (lowered)' if lowered else ''}")
    if fleet.scaler:
        said.append(fleet.scaler)
    if fleet.start_seconds is not None:
        said.append(f"one starts in {span(timedelta(seconds=fleet.start_seconds))}")
    text = Text("; ".join(said))
    if not fleet.maximum:
        return text
    reach = [fleet.ready, fleet.desired, fleet.allowed or fleet.maximum]
    ready, desired, allowed = (count / fleet.maximum for count in reach)
    line = bar([(ready, "█", "green"), (desired, "▒", "yellow"), (allowed, "░", "")])
    return Group(text, line.append("  █ ready  ▒ wanted  ░ allowed", "dim"))


def _window(window: WindowLine, now: datetime) -> str:
    when = {
        "Open": f"until {until(window.end, now)}",
        "Warming": f"opens {until(window.start, now)}",
    }.get(window.state, f"opens {until(window.start, now)}, warmed from {window.warm_from}")
    fewer = window.granted is not None and window.granted < window.replicas
    granted = f", {window.granted} granted" if fewer else ""
    return f"{window.name}  {window.state}  {encoders(window.replicas)}{granted}  {when}"


def money_text(money: Money, now: datetime) -> RenderableType:
    """Spent and projected against the cap."""
    head = Text(
        f"{money.month}: {money.spent} spent, {money.projected} projected, cap {money.cap} {money.currency}"
    )
    facts = [f"{money.hourly} an hour"] if money.hourly else []
    facts += [f"the guard allows {encoders(money.allowed_max)}"] if money.allowed_max is not None else []
    facts += [f"the cap is reached {until(money.reached_at, now)}"] if money.reached_at else []
    facts += [f"given up: {', '.join(money.deferred)}"] if money.deferred else []
    facts += [f"as of {ago(money.as_of, now)}"] if money.as_of else []
    return Group(head, *([line] if (line := money_bar(money)) else []), Text("; ".join(facts)))


def money_bar(money: Money, width: int = 32) -> Text | None:
    """Spent, then what is still to come, against the cap; None without a cap."""
    try:
        cap, spent, projected = (float(text) for text in (money.cap, money.spent, money.projected))
    except ValueError:
        return None
    if cap <= 0:
        return None
    style = "red" if projected > cap else "yellow" if projected > 0.9 * cap else "green"
    text = bar([(spent / cap, "█", style), (projected / cap, "▒", style)], width)
    return text.append(f" {100 * projected / cap:.0f} % of the cap  ").append("█ spent  ▒ to come", "dim")
