"""Capacity by part and the months' bills as lines of a plan."""

from collections.abc import Iterator, Sequence

from search_operator.api.index import SemanticSearchIndex
from search_operator.cli.months import MonthBill, telling
from search_operator.cli.parts import Part, cores, milvus_memory, totals
from search_operator.cli.screen import encoders
from search_operator.decide.capacity import binary_size
from search_operator.decide.schedule import rfc3339
from search_operator.money.tariff import amount

_PART_HEAD = ("part", "pods", "CPU", "memory", "devices", "")
_MONTH_HEAD = ("month", "hours", "no peaks", "with windows", "at maximum", "of cap", "allowed", "windows")


def capacity_lines(index: SemanticSearchIndex, found: Sequence[Part], rows: int | None) -> Iterator[str]:
    """What is reserved in all, by part, at the fewest and the most pods; and what Milvus holds."""
    yield "\ncapacity by part (what pods reserve in all)"
    table = [_PART_HEAD]
    for part in found:
        cells = (
            _range(part.fewest, part.most),
            _range(cores(part.cpu * part.fewest), cores(part.cpu * part.most)),
            _range(binary_size(part.memory * part.fewest), binary_size(part.memory * part.most)),
            _range(part.devices * part.fewest, part.devices * part.most),
        )
        table.append((part.name, *cells, part.note))
    least, most = totals(found, most=False), totals(found, most=True)
    together = (
        "",
        _range(cores(least.cpu), cores(most.cpu)),
        _range(binary_size(least.memory), binary_size(most.memory)),
        _range(least.devices, most.devices),
    )
    table.append(("together", *together, ""))
    yield from _aligned(table)
    accelerator = index.spec.encoder.accelerator
    if accelerator.count:
        nodes = ", ".join(f"{k}={v}" for k, v in sorted(accelerator.effective_node_selector().items()))
        yield f"  devices are {accelerator.resource}{f' on nodes with {nodes}' if nodes else ''}"
    yield f"  Milvus holds {milvus_memory(index, rows)}"


def month_lines(found: Sequence[MonthBill], currency: str) -> Iterator[str]:
    """The months that are worth a line, and for each what the guard would do."""
    shown = telling(found)
    if not shown:
        return
    yield f"\nmonths in {currency}, of a cap of {amount(shown[0].cap)}"
    table = [_MONTH_HEAD]
    for each in shown:
        of_cap = f"{100 * each.with_windows / each.cap:.0f} %" if each.cap else "-"
        bills = (amount(each.no_peaks), amount(each.with_windows), amount(each.at_maximum))
        allowed = f"{each.allowed} of {each.maximum}"
        table.append((each.month, str(each.hours), *bills, of_cap, allowed, ", ".join(each.windows)))
    yield from _aligned(table)
    yield "  no peaks: the fewest encoders; with windows: and what those ask for; at maximum: maxReplicas all month"
    yield "\nwhat the guard would do"
    for each in shown:
        yield f"  {each.month}  {guard_says(each)}"


def guard_says(bill: MonthBill) -> str:
    """What the guard does in a month that begins with nothing spent, as a sentence."""
    if bill.no_peaks > bill.cap:
        head = "even the fewest encoders cross the cap; it goes no lower"
        return f"{head}: raise cost.monthlyCap or lower minReplicas"
    if not bill.clamps:
        when = (
            f"the cap is reached on {rfc3339(bill.reached_at)}" if bill.reached_at else "nothing is reached"
        )
        return f"it only tells (cost.action Alert): at maxReplicas {when}"
    if bill.allowed >= bill.maximum and not bill.given_up:
        return f"nothing: under the cap also with {encoders(bill.maximum)} all month"
    first = (
        f"gives up {', '.join(bill.given_up)} first when the load asks for {bill.maximum}; "
        if bill.given_up
        else ""
    )
    if bill.allowed >= bill.maximum:
        return f"{first}allows all {bill.maximum} encoders"
    then = (
        f", {bill.maximum} from {rfc3339(bill.raised_at)} if the fewest run until then"
        if bill.raised_at
        else ""
    )
    return f"{first}allows {bill.allowed} of {bill.maximum} encoders at first{then}"


def _range(low: object, high: object) -> str:
    return f"{low}" if low == high else f"{low} to {high}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
