"""What the comparison with OpenCost comes to, for the status and as a remark on the budget."""

from pydantic import ValidationError

from search_operator.api.cost import OpenCost
from search_operator.api.status import OpenCostItem, OpenCostStatus
from search_operator.decide.schedule import rfc3339
from search_operator.decide.spending import prices_of
from search_operator.money.ledger import MonthAccount
from search_operator.money.months import moment_of
from search_operator.money.reconciliation import SHARED, Line, Reconciliation, percent, reconciled
from search_operator.money.tariff import amount
from search_operator.observe.observation import Observation


def open_cost_status(observation: Observation) -> OpenCostStatus | None:
    """The comparison; what was told stays until there is a newer one. None where none is asked for."""
    spec, view, account = _spec(observation), observation.open_cost, observation.account
    if spec is None or account is None:
        return None
    message = view.problem.message if view.problem else None
    if view.account is None or view.account.month != account.outlook.month:
        return _told(observation, account.outlook.month).model_copy(update={"message": message})
    found = _compared(observation, view.account)
    return OpenCostStatus(
        as_of=rfc3339(moment_of(view.until)),
        spent=amount(found.total.theirs),
        ledger=amount(found.total.ours),
        difference_percent=percent(found.total),
        agrees=found.agrees(spec.tolerance_percent),
        items=tuple(_item(line) for line in found.lines),
        message=message,
    )


def remark(observation: Observation) -> str:
    """What the budget's condition adds of it: a difference, or that nothing can be compared; empty for neither."""
    spec, said = _spec(observation), open_cost_status(observation)
    if spec is None or said is None:
        return ""
    parts = []
    if said.agrees is False:
        by = f" ({said.difference_percent} %)" if said.difference_percent else ""
        parts.append(
            f"OpenCost says {said.spent} where the ledger says {said.ledger}{by}, more than the "
            f"{spec.tolerance_percent} % apart that spec.cost.openCost.tolerancePercent allows: check spec.cost.prices"
        )
    if said.message:
        parts.append(f"not compared with OpenCost: {said.message}")
    return "; ".join(parts)


def _spec(observation: Observation) -> OpenCost | None:
    cost = observation.index.spec.cost
    return cost.open_cost if cost else None


def _told(observation: Observation, month: str) -> OpenCostStatus:
    """As it was told of this month by an operator that ran before; empty when it was not, or by another version."""
    cost = observation.index.status.get("cost") or {}
    try:
        return OpenCostStatus.model_validate(cost.get("openCost") or {} if cost.get("month") == month else {})
    except ValidationError:
        return OpenCostStatus()


def _compared(observation: Observation, account: MonthAccount) -> Reconciliation:
    prices = prices_of(observation)
    unpriced = set() if prices and prices.gateway_hour else {"gateway"}
    return reconciled(account, observation.open_cost.costs, SHARED.keys() - unpriced)


def _item(line: Line) -> OpenCostItem:
    return OpenCostItem(
        item=line.item,
        ledger=amount(line.ours),
        open_cost=amount(line.theirs),
        difference_percent=percent(line),
    )
