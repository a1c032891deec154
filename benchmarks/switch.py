"""Switches and rollbacks between two encoders under constant load: `python -m benchmarks.switch` (`make bench-switch`).

On a real cluster (instance `switch`), with real stores, the operator from its manifests, two gateways and two real
Chinese encoders of the same dimension. Queries go on all the time, products get new titles, are added and deleted, and
every answer is checked afterwards against vectors that are computed here, by the release that the answer names.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import JsonValue
from rich.console import Console
from rich.live import Live
from rich.text import Text

from benchmarks.report import RESULTS, Row, write
from benchmarks.switch_bed import CATALOGUE, ENCODERS, INDEX, service_address, switch_bed
from benchmarks.switch_chaos import Chaos, excused
from benchmarks.switch_check import Checker, Verdict, score_tables
from benchmarks.switch_log import read_answers
from benchmarks.switch_result import QUERIES, ROLLBACKS, SWITCHES, busy_spans, plot, rows_of
from benchmarks.switch_run import Drive, Kind, LoadProcess, encoders_of_releases, planned, wrong_at_the_end
from benchmarks.switch_watch import Eyes
from benchmarks.switch_writes import CatalogueWriter
from sample_catalogue import JUDGED_QUERIES, generate
from tests.cluster.index_bed import NAMESPACE, Bed
from tests.testbed.cluster import TestbedError

SEED = 11
ASKED = 200
# Seconds from a part's return to the next kill, and how much longer everything may take meanwhile.
KILL_PAUSE = (15.0, 45.0)
CHAOS_PATIENCE = 3.0
MUST_HOLD = ("failed", "mismatched", "resurrected")

console = Console(stderr=True)


def queries_asked(count: int, seed: int) -> list[str]:
    """Different short queries: the judged ones, then brands with what they make, for whom and what for."""
    asked = dict.fromkeys(query.text for query in JUDGED_QUERIES)
    for number, product in enumerate(generate(20 * count, seed)):
        labels = product.labels
        words = [
            f"{product.brand}{labels.product_type}",
            f"{labels.audience}{labels.product_type}",
            f"{labels.product_type} {labels.intents[0]}",
            product.category,
        ]
        asked.setdefault(words[number % len(words)].strip())
        if len(asked) >= count:
            break
    return list(asked)[:count]


class Progress:
    """One line that is written over on a terminal; elsewhere a line for each thing that begins."""

    def __init__(self, live: Live | None) -> None:
        self._live = live
        self._load: LoadProcess | None = None
        self._said = ""

    def follow(self, load: LoadProcess) -> None:
        """The load whose figures are shown from now on."""
        self._load = load

    def say(self, what: str) -> None:
        """Something begins."""
        self._said = what
        if self._live is None:
            console.print(str(self), highlight=False, soft_wrap=True)

    def __rich__(self) -> Text:
        return Text(str(self), no_wrap=True, overflow="ellipsis")

    def __str__(self) -> str:
        told = self._load.told if self._load else {}
        p99 = f", p99 {told['p99'] * 1000:.0f} ms" if told.get("p99") else ""
        return f"{told.get('count', 0):,} queries, {told.get('failed', 0)} failed{p99}: {self._said}"


@contextmanager
def progress() -> Iterator[Progress]:
    """Where people see what happens."""
    if not console.is_terminal:
        yield Progress(None)
        return
    with Live(console=console, refresh_per_second=2, transient=True) as live:
        shown = Progress(live)
        live.update(shown)
        yield shown


def run(chosen: argparse.Namespace, bed: Bed, home: Path, shown: Progress) -> int:
    """One run on a bed whose index is Ready; the exit status."""
    queries = queries_asked(ASKED, SEED + 1)
    plan = planned(chosen.switches, chosen.rollbacks)
    with (
        bed.elasticsearch() as elasticsearch,
        Eyes(str(bed.cluster.kubeconfig), NAMESPACE, INDEX) as eyes,
    ):
        eyes.wait("the pointer", lambda: eyes.seen.pointers and eyes.pointer.release, 30)
        writer = CatalogueWriter(elasticsearch, CATALOGUE, chosen.products, SEED, chosen.write_every)
        load = LoadProcess(service_address(bed), queries, home, chosen.concurrency, chosen.rate)
        chaos = Chaos(bed, eyes, chosen.seed, KILL_PAUSE) if chosen.chaos else None
        drive = Drive(
            bed,
            eyes,
            load,
            shown.say,
            rest_seconds=chosen.rest,
            refresh_every=chosen.refresh_every,
            patience=CHAOS_PATIENCE if chaos else 1.0,
        )
        shown.follow(load)
        wrong = _drive(drive, plan, chosen.queries, writer, load, chaos)
        if not wrong:
            wrong = wrong_at_the_end(bed, eyes, writer.live, CATALOGUE)
    shown.say("checking the answers")
    answers = read_answers([load.log])
    if len(answers) == 0:
        raise TestbedError(f"no query was asked; {'; '.join(wrong)}")
    history = writer.history
    tables = score_tables(ENCODERS, queries, history.versions)
    verdict = Checker(history, tables, encoders_of_releases(eyes)).check(answers)
    busy = busy_spans(eyes.seen.busy, drive.course.ended)
    outages = excused(chaos.kills) if chaos else None
    rows, notes = rows_of(answers, drive.course, busy, verdict, outages)
    notes |= _more_notes(chosen, load, drive.course.ended - drive.course.began)
    notes["writes"] = len(history.versions) - chosen.products + len(history.deletions)
    notes["deletions"] = len(history.deletions)
    notes["wrong_at_the_end"] = list(wrong)
    if chaos:
        notes["seed"] = chosen.seed
        notes["kills"] = [f"{kill.part} {kill.name}: {kill.ended - kill.began:.1f} s" for kill in chaos.kills]
    if chosen.trace:
        began = drive.course.began
        lines = (f"{at - began:8.2f} {told}\n" for at, told in eyes.seen.stages)
        chosen.trace.write_text("".join(lines), encoding="utf-8")
    name = "switch-chaos" if chaos else "switch"
    write(name, rows, notes=notes, results=chosen.results)
    plot(chosen.results / f"{name}-latency.svg", answers, drive.course, busy)
    return _judge(rows, verdict, load, wrong)


def _drive(
    drive: Drive,
    plan: Sequence[Kind],
    queries: int,
    writer: CatalogueWriter,
    load: LoadProcess,
    chaos: Chaos | None,
) -> list[str]:
    """All moves under load, writes and perhaps chaos, and a last refresh; what went wrong, if anything did.

    What was answered until then is worth checking all the same.
    """
    writer.start()
    if chaos:
        chaos.start()
    try:
        drive.run(plan, queries)
    except TestbedError as error:
        drive.course.ended = time.monotonic()
        return [str(error)]
    finally:
        # The parts that are gone come back before the load ends, so that their return is seen too.
        if chaos:
            chaos.stop()
        load.stop()
        writer.stop()
    try:
        drive.refresh()
    except TestbedError as error:
        return [str(error)]
    return []


def _more_notes(chosen: argparse.Namespace, load: LoadProcess, seconds: float) -> Mapping[str, JsonValue]:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    used = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    return {
        "minutes": round(seconds / 60, 1),
        "products": chosen.products,
        "concurrency": chosen.concurrency,
        "rate": chosen.rate,
        "client_cores": round(float(load.told.get("cpu_seconds", 0)) / seconds, 3),
        "client_and_harness_cores": round(used / seconds, 3),
    }


def _judge(rows: list[Row], verdict: Verdict, load: LoadProcess, wrong: list[str]) -> int:
    """1 when a query failed or lied, or the run did not get to its end; each with what is known of it."""
    for example in verdict.examples:
        console.print(example, highlight=False, soft_wrap=True)
    for fault in load.faults[:10]:
        console.print(json.dumps(fault, ensure_ascii=False), highlight=False, soft_wrap=True)
    for sentence in wrong:
        console.print(f"WRONG: {sentence}", highlight=False, soft_wrap=True)
    missed = [row.name for row in rows if row.name in MUST_HOLD and not row.met]
    if missed:
        console.print(f"MISSED: {', '.join(missed)}")
    return 1 if missed or wrong else 0


def arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.switch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n"
        "  python -m benchmarks.switch                      what `make bench-switch` runs (about half an hour)\n"
        "  python -m benchmarks.switch --queries 3000 --switches 2 --rollbacks 1 --results build/trial\n"
        "  python -m benchmarks.switch --chaos --queries 30000 --switches 6 --rollbacks 2\n"
        "  python -m tests.testbed.cluster down --instance switch       removes the cluster, which stays up",
    )
    add = parser.add_argument
    add("--queries", type=int, default=QUERIES, help=f"at least so many (default: {QUERIES:,})")
    add("--switches", type=int, default=SWITCHES, help=f"changes of the encoder (default: {SWITCHES})")
    add("--rollbacks", type=int, default=ROLLBACKS, help=f"of these taken back (default: {ROLLBACKS})")
    add("--products", type=int, default=1500, help="in the catalogue (default: 1500)")
    add("--concurrency", type=int, default=4, help="queries under way (default: 4)")
    add("--rate", type=float, default=50.0, help="queries a second at most, 0: no bound (default: 50)")
    add("--write-every", type=float, default=2.0, help="seconds between catalogue writes (default: 2)")
    add("--rest", type=float, default=10.0, help="seconds of rest before each move (default: 10)")
    add("--refresh-every", type=int, default=3, help="moves between refreshes, 0: none (default: 3)")
    add(
        "--chaos",
        action="store_true",
        help="also kill operator, gateways, encoders, jobs and Milvus at random",
    )
    add("--seed", type=int, default=SEED, help=f"of --chaos (default: {SEED})")
    add("--trace", type=Path, help="file for what the status said of the releases, and when")
    add("--results", type=Path, default=RESULTS, help="folder for switch.json and the plots")
    return parser.parse_args()


def main() -> int:
    """Runs it; 1 when a query failed or lied, or the run did not get to its end."""
    chosen = arguments()
    try:
        with (
            tempfile.TemporaryDirectory() as scratch,
            switch_bed(chosen.products, SEED) as bed,
            progress() as shown,
        ):
            return run(chosen, bed, Path(scratch), shown)
    except TestbedError as error:
        console.print(f"{error}", highlight=False, soft_wrap=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
