"""Whether the month stays under its cap, and what was done for it: the condition WithinBudget."""

from dataclasses import replace

from search_operator.decide.reconciling import remark
from search_operator.decide.statement import Statement
from search_operator.money.account import Account
from search_operator.money.ledger import Deferral
from search_operator.money.months import moment_of
from search_operator.money.tariff import amount
from search_operator.observe.observation import Observation

KIND = "WithinBudget"
_GIVEN_UP: dict[Deferral, str] = {
    "FullRebuild": "full rebuilds wait",
    "Reranker": "the re-ranker is off",
}


def within_budget(observation: Observation) -> Statement:
    """The month as it runs now stays under the cap, or why not and what to do; and where OpenCost says otherwise."""
    said, more = _budget(observation), remark(observation)
    return replace(said, message=f"{said.message}; {more}") if more else said


def _budget(observation: Observation) -> Statement:
    if problem := observation.prices.problem:
        word = f"; the guard's last word holds: {observation.allowed} encoders" if observation.allowed else ""
        return Statement(
            KIND, "Unknown", problem.reason, f"{problem.message}; nothing is counted until then{word}"
        )
    account, cost = observation.account, observation.index.spec.cost
    if account is None or cost is None:
        if cost is not None and (cost.prices or cost.prices_config_map_ref):
            return Statement(KIND, "Unknown", "NotCounted", "nothing has been counted yet")
        return Statement(
            KIND, "Unknown", "NoPrices", "spec.cost.prices is not given, so the bill is not known"
        )
    if account.lowest.projected > account.tariff.cap:
        return Statement(KIND, "False", "AboveMinimum", _above_minimum(account))
    if cost.action == "Alert":
        return _alerting(account)
    declared = observation.index.spec.encoder.autoscaling.max_replicas
    given_up = [_GIVEN_UP[what] for what in account.ledger.deferred]
    if account.allowed < declared:
        given_up.append(f"{account.allowed} of {declared} encoders are allowed")
    if given_up:
        return Statement(KIND, "True", "Clamped", f"{_month(account)}; {', '.join(given_up)}")
    return Statement(KIND, "True", "Projected", _month(account))


def _alerting(account: Account) -> Statement:
    if account.outlook.projected <= account.tariff.cap:
        return Statement(KIND, "True", "Projected", _month(account))
    day = _day(account, account.outlook.reached)
    message = (
        f"{_month(account)}; the cap is reached on {day}; nothing is lowered, as cost.action is Alert: lower "
        "maxReplicas, raise cost.monthlyCap, or set cost.action to Clamp"
    )
    return Statement(KIND, "False", "Alerting", message)


def _above_minimum(account: Account) -> str:
    day, month = _day(account, account.lowest.reached), account.lowest.month
    cap = f"{amount(account.tariff.cap)} {account.tariff.currency}"
    said = f"{month} comes to {amount(account.lowest.projected)}"
    if account.outlook.spent >= account.tariff.cap:
        head = f"the cap of {cap} is reached: {amount(account.outlook.spent)} is spent, and {said}"
    else:
        head = f"even the fewest encoders cross the cap of {cap} on {day}: {said}"
    return f"{head}; raise cost.monthlyCap, or lower minReplicas, which is never done for you"


def _month(account: Account) -> str:
    said = account.outlook
    return (
        f"{said.month} comes to {amount(said.projected)} of {amount(said.cap)} {account.tariff.currency} "
        f"as it runs now, {amount(said.spent)} of it spent"
    )


def _day(account: Account, reached: int | None) -> str:
    """The day in the billing time zone; the windows to come may be what crosses the cap."""
    if reached is None:
        return "a day of this month"
    return moment_of(reached).astimezone(account.tariff.zone).strftime("%Y-%m-%d")
