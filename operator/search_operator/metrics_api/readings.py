"""Asking encoder pods how many tokens they have in flight: at once, with a deadline, and each at most once a second."""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from search_operator.metrics_api.wire import METRIC, Reading
from search_operator.render.child import HTTP_PORT

ASKED_WITHIN_SECONDS = 1.0
KEPT_SECONDS = 1.0
_COMPONENT = "app.kubernetes.io/component"


@dataclass(frozen=True)
class EncoderPod:
    """An encoder pod that runs and is not being deleted."""

    namespace: str
    name: str
    uid: str
    ip: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Silence:
    """Why a pod is left out."""

    pod: str
    why: str


def encoder_pods(bodies: Iterable[Mapping[str, Any]]) -> tuple[EncoderPod, ...]:
    """Those of the pods that can be asked, by name."""
    found = [
        EncoderPod(meta["namespace"], meta["name"], meta.get("uid", ""), state["podIP"], labels)
        for body in bodies
        if (meta := body["metadata"])
        and (labels := meta.get("labels") or {}).get(_COMPONENT) == "encoder"
        and (state := body.get("status") or {}).get("phase") == "Running"
        and state.get("podIP")
        and "deletionTimestamp" not in meta
    ]
    return tuple(sorted(found, key=lambda pod: pod.name))


def inflight_tokens(exposition: str) -> float:
    """The gauge in what an encoder exposes. ValueError when it is not there or no number of tokens: never a 0 instead."""
    lines = "\n".join(
        line for line in exposition.splitlines() if line.startswith((METRIC, f"# TYPE {METRIC}"))
    )
    values = [
        sample.value
        for family in text_string_to_metric_families(f"{lines}\n")
        for sample in family.samples
        if sample.name == METRIC
    ]
    if len(values) != 1:
        raise ValueError(f"its /metrics show {METRIC} {len(values)} times")
    if not math.isfinite(values[0]) or values[0] < 0:
        raise ValueError(f"its /metrics say {METRIC} {values[0]}")
    return values[0]


@dataclass
class Encoders:
    """Readings of pods, shared by all who ask within a second."""

    http: aiohttp.ClientSession
    port: int = HTTP_PORT
    clock: Callable[[], float] = time.monotonic
    _asked: dict[str, tuple[float, asyncio.Task[Reading | Silence]]] = field(default_factory=dict)

    async def read(self, pods: Iterable[EncoderPod]) -> tuple[list[Reading], list[Silence]]:
        """What the pods say, and which of them said nothing."""
        self._forget()
        # Whoever asked first may go away; the others still wait for the same answer.
        answers = await asyncio.gather(*(asyncio.shield(self._asking(pod)) for pod in pods))
        return (
            [answer for answer in answers if isinstance(answer, Reading)],
            [answer for answer in answers if isinstance(answer, Silence)],
        )

    def _asking(self, pod: EncoderPod) -> asyncio.Task[Reading | Silence]:
        key = f"{pod.uid}@{pod.ip}"
        if key not in self._asked:
            self._asked[key] = (self.clock(), asyncio.ensure_future(self._ask(pod)))
        return self._asked[key][1]

    def _forget(self) -> None:
        now = self.clock()
        for key, (since, task) in list(self._asked.items()):
            if task.done() and now - since >= KEPT_SECONDS:
                del self._asked[key]

    async def _ask(self, pod: EncoderPod) -> Reading | Silence:
        host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
        timeout = aiohttp.ClientTimeout(total=ASKED_WITHIN_SECONDS)
        try:
            async with self.http.get(f"http://{host}:{self.port}/metrics", timeout=timeout) as answer:
                if answer.status != 200:
                    return Silence(pod.name, f"its /metrics answer {answer.status}")
                said = inflight_tokens(await answer.text())
        except TimeoutError:
            return Silence(pod.name, f"no answer within {ASKED_WITHIN_SECONDS:g} s")
        except (aiohttp.ClientError, ValueError) as error:
            return Silence(pod.name, str(error) or type(error).__name__)
        return Reading(pod.namespace, pod.name, said, datetime.now(UTC))
