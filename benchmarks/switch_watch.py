"""What a switch looks like from outside: the pointer, the gateways' own word, the jobs; with times of this machine."""

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
from kubernetes import config

from tests.testbed.cluster import TestbedError

GROUP, VERSION, PLURAL = "semanticsearch.io", "v1alpha1", "semanticsearchindexes"

# The API server ends a watch after this; it is begun again at once.
_WATCH_SECONDS = 300
# Asking costs the gateways time that is missing for queries; a quarter of a second is exact enough for a goal of 5 s.
_FAST_SECONDS, _SLOW_SECONDS = 0.25, 1.0
_ASK_SECONDS = 1.0
_PATCH_SECONDS = 10.0

Object = dict[str, Any]


@dataclass(frozen=True)
class Pointer:
    """What `<index>-active` says from `at` (time.monotonic()) on; empty names where there is none.

    `weights` and `next_weights` pin the releases' encoders.
    """

    at: float
    release: str
    weights: str
    next: str
    next_weights: str


@dataclass(frozen=True)
class Heard:
    """A gateway pod's word: it answers from `release`."""

    at: float
    pod: str
    release: str


@dataclass
class Seen:
    """All that was seen, in order. Append-only; readers see a prefix."""

    pointers: list[Pointer] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    stages: list[tuple[float, str]] = field(default_factory=list)
    """(when, what the status says of the releases from then on), for whoever asks why a move took long."""
    busy: list[tuple[float, int]] = field(default_factory=list)
    """(when, how many jobs run from then on)."""


class Eyes:
    """Watches one index in threads until it is closed."""

    def __init__(self, kubeconfig: str, namespace: str, index: str) -> None:
        self._api = _api_client(kubeconfig)
        self._name = index
        self._core = f"/api/v1/namespaces/{namespace}"
        self._jobs_path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._indexes = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}"
        self.seen = Seen()
        self.index: Object = {}
        self.fast = threading.Event()
        self._gateways: dict[str, str] = {}
        self._last_word: dict[str, str] = {}
        self._jobs: dict[str, bool] = {}
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=target, daemon=True, name=target.__name__)
            for target in (self._see_pointer, self._see_pods, self._see_jobs, self._see_index, self._listen)
        ]

    def __enter__(self) -> "Eyes":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()

    def patch(self, change: Object) -> float:
        """Merge-patches the index; returns when that was asked for."""
        asked = time.monotonic()
        answer = self._api.patch(
            f"{self._indexes}/{self._name}",
            content=json.dumps(change),
            headers={"Content-Type": "application/merge-patch+json"},
            timeout=_PATCH_SECONDS,
        )
        if answer.is_error:
            raise TestbedError(f"the API server refused {change}: {answer.text}")
        return asked

    def wait(self, what: str, holds: Callable[[], object], seconds: float) -> None:
        """Until `holds`, asked again whenever something was seen; TestbedError naming `what` after `seconds`."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not holds():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TestbedError(f"waited {seconds:.0f} s for {what}; {self.situation()}")
                # What holds may also depend on the time, so it is asked now and then anyway.
                self._changed.wait(min(left, 0.5))

    def situation(self) -> str:
        """Pointer, gateways, jobs and releases in one line, for an error or the impatient."""
        pointer = self.seen.pointers[-1] if self.seen.pointers else None
        status = self.index.get("status", {})
        releases = [
            " ".join(
                str(part) for part in (r["name"], r["role"], r.get("stage"), r.get("waitingFor")) if part
            )
            for r in status.get("releases", ())
        ]
        jobs = ", ".join(name for name, runs in self._jobs.items() if runs) or "none"
        return f"pointer {pointer}; gateways {self._last_word}; jobs {jobs}; releases {releases}"

    @property
    def pointer(self) -> Pointer:
        """The last one seen; TestbedError when there was none."""
        if not self.seen.pointers:
            raise TestbedError("no pointer was seen yet")
        return self.seen.pointers[-1]

    @property
    def running_jobs(self) -> int:
        """Jobs of the index that have a pod."""
        return sum(self._jobs.values())

    def all_gateways_on(self, release: str) -> bool:
        """Whether each gateway pod that runs has said that it answers from that release."""
        pods = list(self._gateways)
        return bool(pods) and all(self._last_word.get(pod) == release for pod in pods)

    @contextlib.contextmanager
    def closely(self) -> Iterator[None]:
        """Asks the gateways four times a second meanwhile, else once."""
        self.fast.set()
        try:
            yield
        finally:
            self.fast.clear()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _events(self, path: str, **selector: str) -> Iterator[tuple[str, Object]]:
        """(kind of event, object) without end, BEGIN where what is known begins anew."""
        parameters = {"watch": "1", "timeoutSeconds": str(_WATCH_SECONDS), **selector}
        while not self._closed.is_set():
            try:
                with self._api.stream("GET", path, params=parameters) as answer:
                    answer.raise_for_status()
                    yield "BEGIN", {}
                    for line in answer.iter_lines():
                        if self._closed.is_set():
                            return
                        event = json.loads(line)
                        if event["type"] == "ERROR":
                            break
                        yield event["type"], event["object"]
                        self._notify()
            except httpx.HTTPError:
                # The API server is away; whoever waits for something has a deadline.
                self._closed.wait(0.5)

    def _see_pointer(self) -> None:
        selector = f"metadata.name={self._name}-active"
        for kind, found in self._events(f"{self._core}/configmaps", fieldSelector=selector):
            if kind == "BEGIN":
                continue
            data = found.get("data", {}) if kind != "DELETED" else {}
            active, coming = (json.loads(data.get(key) or "{}") for key in ("release.json", "next.json"))
            pointer = Pointer(time.monotonic(), *_named(active), *_named(coming))
            self.seen.pointers.append(pointer)

    def _see_pods(self) -> None:
        selector = f"semanticsearch.io/index={self._name},app.kubernetes.io/component=gateway"
        for kind, pod in self._events(f"{self._core}/pods", labelSelector=selector):
            if kind == "BEGIN":
                self._gateways.clear()
                self._last_word.clear()
                continue
            name, address = pod["metadata"]["name"], pod.get("status", {}).get("podIP")
            gone = kind == "DELETED" or "deletionTimestamp" in pod["metadata"]
            if gone or pod["status"].get("phase") != "Running" or not address:
                self._gateways.pop(name, None)
                self._last_word.pop(name, None)
            else:
                self._gateways[name] = address

    def _see_jobs(self) -> None:
        selector = f"semanticsearch.io/index={self._name}"
        for kind, job in self._events(self._jobs_path, labelSelector=selector):
            if kind == "BEGIN":
                self._jobs.clear()
                continue
            runs = kind != "DELETED" and bool(job.get("status", {}).get("active"))
            self._jobs[job["metadata"]["name"]] = runs
            self.seen.busy.append((time.monotonic(), self.running_jobs))

    def _see_index(self) -> None:
        for kind, found in self._events(self._indexes, fieldSelector=f"metadata.name={self._name}"):
            if kind == "BEGIN":
                continue
            self.index = found
            told = "; ".join(map(_stage, found.get("status", {}).get("releases", ())))
            if not self.seen.stages or self.seen.stages[-1][1] != told:
                self.seen.stages.append((time.monotonic(), told))

    def _listen(self) -> None:
        with httpx.Client(timeout=_ASK_SECONDS, trust_env=False) as http:
            while not self._closed.is_set():
                for pod, address in list(self._gateways.items()):
                    self._hear(http, pod, address)
                if self.fast.is_set():
                    self._closed.wait(_FAST_SECONDS)
                else:
                    self.fast.wait(_SLOW_SECONDS)

    def _hear(self, http: httpx.Client, pod: str, address: str) -> None:
        try:
            said = http.get(f"http://{address}:8080/release")
            release = str(said.json().get("release") or "") if said.status_code == httpx.codes.OK else ""
        except (httpx.TransportError, ValueError):
            release = ""
        if pod in self._gateways and self._last_word.get(pod) != release:
            self._last_word[pod] = release
            self.seen.heard.append(Heard(time.monotonic(), pod, release))
            self._notify()


def _api_client(kubeconfig: str) -> httpx.Client:
    """HTTP to the API server with the credentials of a kubeconfig; the official client only reads the file."""
    found = config.new_client_from_config(kubeconfig).configuration
    trust = ssl.create_default_context(cafile=found.ssl_ca_cert)
    if found.cert_file:
        trust.load_cert_chain(found.cert_file, found.key_file)
    headers = {"Authorization": token} if (token := found.api_key.get("authorization")) else {}
    timeout = httpx.Timeout(5.0, read=_WATCH_SECONDS + 30.0)
    return httpx.Client(base_url=found.host, verify=trust, headers=headers, timeout=timeout, trust_env=False)


def _stage(release: Object) -> str:
    """Name, role, stage and the gates that aren't passed."""
    gates = [f"{g['name']} {g['result']} ({g.get('value')})" for g in release.get("gates", ())]
    open_gates = [gate for gate in gates if " Passed " not in gate]
    parts = [release["name"], release["role"], release.get("stage"), *open_gates, release.get("message")]
    return " ".join(str(part) for part in parts if part)


def _named(snapshot: Object) -> tuple[str, str]:
    """(release, weights) of a snapshot; empty for `{}`."""
    return snapshot.get("release", ""), snapshot.get("encoder", {}).get("weights", "")
