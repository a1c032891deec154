"""`make demo`: all steps, then the answers, the status, and how to look further."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from demo.building import building_steps, building_steps_for_tests
from demo.cluster_access import get, shell_function
from demo.display import display_for
from demo.index_status import condition_rows
from demo.installing import Installation, installing_steps, sample_path
from demo.parts import GATEWAY, INDEX, OPERATOR, SEARCH_NAMESPACE, SYSTEM_NAMESPACE
from demo.queries import QUERIES, hits_table
from demo.steps import run_steps
from demo.wording import durations
from tests.testbed.cluster import Cluster


def up(console: Console, *, images_are_there: bool = False) -> int:
    """Bring everything up and ask; returns the exit status."""
    began = time.monotonic()
    installation = Installation(images_are_there=images_are_there)
    console.print(
        "One YAML file to an answered query. Steps run side by side; what was built before is kept.\n"
    )
    with display_for(console) as display:
        outcomes = run_steps(
            [*building_steps(images=not images_are_there), *installing_steps(installation)], display
        )
    if failed := [outcome.step.title for outcome in outcomes if outcome.error]:
        plain(console, f"The demo is not up: {', '.join(failed)} failed, see above.")
        return 1
    cluster = installation.cluster
    for answer in installation.answers:
        console.print(hits_table(answer))
    console.rule("the index", align="left")
    plain(console, f"kubectl get ssi -n {SEARCH_NAMESPACE} -o wide   # from {sample_path()}")
    plain(console, cluster.ask("-n", SEARCH_NAMESPACE, "get", "ssi", "-o", "wide"))
    index = get(cluster, "ssi", INDEX, SEARCH_NAMESPACE) or installation.index
    console.print(conditions_table(condition_rows(index)))
    console.rule("how to look further (paste it)", align="left")
    plain(console, further(cluster))
    console.rule("how long it took", align="left")
    plain(console, durations(outcomes, time.monotonic() - began))
    return 0


def build(console: Console, *, for_tests: bool = False) -> int:
    """Build everything ahead and start nothing; returns the exit status."""
    began = time.monotonic()
    with display_for(console) as display:
        outcomes = run_steps(building_steps_for_tests() if for_tests else building_steps(), display)
    plain(console, durations(outcomes, time.monotonic() - began))
    return 1 if any(outcome.error for outcome in outcomes) else 0


def plain(console: Console, text: str) -> None:
    """Text as it is: nothing highlighted, nothing wrapped, so that it can be pasted."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def conditions_table(rows: Sequence[tuple[str, str, str, str]]) -> Table:
    """The conditions of the index."""
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("condition", "status", "reason"):
        table.add_column(heading, no_wrap=True)
    table.add_column("message", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def further(cluster: Cluster) -> str:
    """Commands that show more, as they can be pasted into a shell."""
    lines = [
        shell_function(cluster),
        f"k -n {SEARCH_NAMESPACE} get ssi -w                       # changes of the index as they happen",
        f"k -n {SEARCH_NAMESPACE} describe ssi {INDEX}             # its whole status and its events",
        f"k -n {SEARCH_NAMESPACE} get deploy,hpa,pdb,job,cronjob,svc,ing,cm,netpol -l semanticsearch.io/index={INDEX}",
        f"k -n {SYSTEM_NAMESPACE} logs deploy/{OPERATOR} --tail=20",
        *_query_lines(cluster),
        "make demo         # again: warm, and it changes nothing that is up to date",
        "make demo-down    # removes all of it",
    ]
    return "\n".join(lines)


def _query_lines(cluster: Cluster) -> list[str]:
    query = shlex.quote(f"q={QUERIES[0]}")
    gateway = get(cluster, "service", GATEWAY, SEARCH_NAMESPACE)
    if cluster.host_reaches_pods and gateway:
        base = f"http://{gateway['spec']['clusterIP']}"
        return [
            f"curl -sG --data-urlencode {query} {base}/search",
            f"# the search page, in a browser: {base}/",
        ]
    return [
        f"k -n {SEARCH_NAMESPACE} port-forward svc/{GATEWAY} 8080:80 &",
        f"curl -sG --data-urlencode {query} http://127.0.0.1:8080/search",
        "# the search page, in a browser: http://127.0.0.1:8080/",
    ]
