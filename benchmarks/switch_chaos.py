"""Kills parts at random moments while everything goes on, and keeps when each was really gone."""

import contextlib
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pymilvus import MilvusClient, MilvusException

from benchmarks.switch_bed import INDEX
from benchmarks.switch_result import Span
from benchmarks.switch_watch import Eyes
from tests.cluster.index_bed import NAMESPACE, Bed, Object
from tests.testbed.cluster import TestbedError
from tests.testbed.stores.outage import crash

# A gateway notices within this that a part is back: its connections are made anew, with a second between attempts.
NOTICES_WITHIN = 2.0
_BACK_SECONDS = 180.0
_POLL_SECONDS = 0.2
_ENDS_WITHIN = 240.0


@dataclass(frozen=True)
class Kill:
    """`part` was killed at `began` and back at `ended` (time.monotonic()); `name` is the pod's.

    `excuses` says whether queries may fail meanwhile: they need neither the operator nor jobs.
    """

    part: str
    name: str
    began: float
    ended: float
    excuses: bool


def excused(kills: Sequence[Kill]) -> list[Span]:
    """When a part that queries need was gone, until the gateways had to have noticed that it is back."""
    return [(kill.began, kill.ended + NOTICES_WITHIN) for kill in kills if kill.excuses]


class Chaos:
    """Kills one part after the other in a thread: each kind once in random order, then again.

    `pause` bounds the seconds between one part's return and the next kill. The same seed gives the same order and
    pauses, though not the same moments of a switch.
    """

    def __init__(self, bed: Bed, eyes: Eyes, seed: int, pause: tuple[float, float]) -> None:
        self.kills: list[Kill] = []
        self.error: Exception | None = None
        self._bed, self._eyes, self._pause = bed, eyes, pause
        self._chance = random.Random(seed)
        # It logs a traceback of every attempt on a Milvus that we killed.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos", daemon=True)
        self._kinds: dict[str, Callable[[], Kill | None]] = {
            "operator": self._operator,
            "gateway": self._gateway,
            "encoder": self._encoder,
            "job": self._job,
            "milvus": self._milvus,
        }

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends once the part that is gone is back; raises what did not come back, if anything."""
        self._stop.set()
        self._thread.join(_ENDS_WITHIN)
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        order: list[str] = []
        while not self._stop.wait(self._chance.uniform(*self._pause)):
            if not order:
                order = self._chance.sample(sorted(self._kinds), len(self._kinds))
            try:
                if kill := self._kinds[order.pop()]():
                    self.kills.append(kill)
            except TestbedError as error:
                self.error = error
                return

    def _operator(self) -> Kill:
        name = self._bed.operator_pods()[0]["metadata"]["name"]
        began = time.monotonic()
        self._bed.kill_operator()
        self._await("another operator", lambda: any(_ready(pod) for pod in self._bed.operator_pods()))
        return Kill("operator", name, began, time.monotonic(), excuses=False)

    def _gateway(self) -> Kill | None:
        return self._pod("gateway", self._bed.pods(INDEX, "gateway"))

    def _encoder(self) -> Kill | None:
        return self._pod("encoder", self._bed.pods(INDEX, "encoder"))

    def _pod(self, component: str, pods: Sequence[Object]) -> Kill | None:
        """Kills one that is ready; it is back when as many are."""
        ready = [pod["metadata"]["name"] for pod in pods if _ready(pod)]
        if not ready:
            return None
        name = self._chance.choice(sorted(ready))
        began = self._delete(name)
        self._await(
            f"{len(ready)} {component}s",
            # The release may have been replaced meanwhile, and its encoders with it; one is enough then.
            lambda: self._replaced(component, name, len(ready)),
        )
        return Kill(component, name, began, time.monotonic(), excuses=True)

    def _replaced(self, component: str, name: str, count: int) -> bool:
        pods = [pod for pod in self._bed.pods(INDEX, component) if pod["metadata"]["name"] != name]
        return sum(map(_ready, pods)) >= min(count, len(pods)) > 0

    def _job(self) -> Kill | None:
        """A job's pod, if one runs; the next kind has its turn else."""
        found = json.loads(self._bed.k("get", "pods", "-l", f"semanticsearch.io/index={INDEX}", "-o", "json"))
        running = [
            pod["metadata"]["name"]
            for pod in found["items"]
            if "job-name" in pod["metadata"]["labels"] and pod["status"].get("phase") == "Running"
        ]
        if not running:
            return None
        name = self._chance.choice(sorted(running))
        began = self._delete(name)
        return Kill("job", name, began, time.monotonic(), excuses=False)

    def _milvus(self) -> Kill:
        began = time.monotonic()
        crash(self._bed.cluster, "milvus")
        collection = self._collection()
        self._await(f"{collection} to be searched", lambda: self._searches(collection))
        return Kill("milvus", "milvus", began, time.monotonic(), excuses=True)

    def _collection(self) -> str:
        releases = self._eyes.index["status"]["releases"]
        return str(next(r["collection"] for r in releases if r["name"] == self._eyes.pointer.release))

    def _searches(self, collection: str) -> bool:
        with contextlib.suppress(MilvusException):
            client = MilvusClient(self._bed.local.milvus_uri, timeout=5)
            try:
                return bool(client.query(collection, filter='id != ""', output_fields=["id"], limit=1))
            finally:
                client.close()
        return False

    def _delete(self, pod: str) -> float:
        """As a lost node does it; returns when that was asked for."""
        began = time.monotonic()
        self._bed.k("delete", "pod", pod, "--force", "--grace-period=0", "--wait=false", "--ignore-not-found")
        return began

    def _await(self, what: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _BACK_SECONDS
        while not holds():
            if time.monotonic() > deadline:
                raise TestbedError(f"waited {_BACK_SECONDS:.0f} s for {what} in {NAMESPACE}")
            time.sleep(_POLL_SECONDS)


def _ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    leaving = "deletionTimestamp" in pod["metadata"]
    return not leaving and any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
