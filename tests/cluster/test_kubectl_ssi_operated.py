"""`kubectl ssi` where a real operator answers: what a verb writes is done, and what it shows is true.

`-s` prints each command with what it said: the transcripts of docs/kubectl-ssi.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.index_bed import NAMESPACE, Bed, Object
from tests.cluster.kubectl_plugin import Done, Plugin

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

NAME = "steered"
M32 = {"vectorStore": {"milvus": {"index": {"m": 32}}}}
SPEC: dict[str, Any] = {
    "spec": {
        "rollout": {"promotion": "Manual", "watch": "0s"},
        "cost": {
            # Dear, so that a minute is seen.
            "currency": "CNY",
            "monthlyCap": "100000",
            "prices": {
                "asOf": "2026-11-01",
                "encoderNodeHour": "35",
                "milvusNodes": {"count": 1, "nodeHour": "68"},
            },
        },
    }
}


class Steered:
    """One index on the bed, steered by kubectl ssi."""

    def __init__(self, bed: Bed, plugin: Plugin) -> None:
        self.bed, self.plugin = bed, plugin

    def ssi(self, verb: str, *arguments: str, code: int = 0) -> Done:
        """Run a verb on the index and print what it said; it must end with that code."""
        done = self.plugin.ssi(verb, *arguments)
        print(f"\n$ kubectl ssi {verb} {' '.join(arguments)}\n{done.stdout}{done.stderr}[{done.returncode}]")
        assert done.returncode == code, done.stderr
        return done

    def named(self, verb: str, *arguments: str, code: int = 0) -> Done:
        """The same, with name and namespace."""
        return self.ssi(verb, NAME, "-n", NAMESPACE, *arguments, code=code)

    def release(self, role: str) -> str:
        """Name of the release of that role; empty when there is none."""
        told = self.bed.index(NAME)["status"].get("releases", ())
        return next((str(r["name"]) for r in told if r["role"] == role), "")


def _stage(index: Object) -> str:
    told = index.get("status", {}).get("releases", ())
    return next((str(r.get("stage")) for r in told if r["role"] == "Candidate"), "")


def test_the_verbs_steer_a_real_operator(bed: Bed, names: list[str], tmp_path: Path) -> None:
    bed.load_catalogue(NAME, 250)
    body = bed.resource(NAME, SPEC)
    names.append(NAME)
    bed.apply(body)
    steered = Steered(bed, Plugin.install(tmp_path, bed.cluster.kubectl, bed.cluster.kubeconfig))

    bed.follow(NAME, lambda i: i.get("status", {}).get("conditions"), "the operator to look", 60)
    explained = steered.named("explain", code=1)
    assert f"{NAMESPACE}/{NAME} is not Ready" in explained.stdout
    bed.await_ready(NAME)
    first = steered.release("Active")
    assert f"{NAMESPACE}/{NAME}  Serving  Ready  {first} answers, 250 rows" in steered.named("status").stdout
    assert steered.named("explain").stdout.startswith(f"{NAMESPACE}/{NAME} is Ready")
    # The ledger is the operator's own.
    told = json.loads(steered.named("cost", "-o", "json").stdout)
    assert (told["money"]["currency"], told["note"]) == ("CNY", "")
    assert {item["item"] for item in told["thisMonth"]["items"]} >= {"milvus"}
    steered.named("cost")

    # A pause is kept, and so is what is asked for meanwhile.
    steered.named("pause")
    bed.await_condition(NAME, "Paused", "True", "PausedBySpec")
    assert "PausedBySpec" in steered.named("explain", code=0).stdout
    body["spec"]["vectorStore"]["milvus"].setdefault("index", {})["m"] = 32
    changed = tmp_path / "steered.yaml"
    changed.write_text(yaml.safe_dump(body), encoding="utf-8")
    planned = steered.ssi("plan", "-f", str(changed), "--diff", code=1)
    assert f"answers now        {first}" in planned.stdout
    assert "a new release is built and takes over" in planned.stdout
    assert "+        m: 32" in planned.stdout
    bed.patch(NAME, {"spec": M32})
    steered.named("resume")
    bed.await_condition(NAME, "Paused", "False", "NotPaused")

    # The candidate waits for a person, and is let go.
    bed.follow(NAME, lambda i: _stage(i) == "AwaitingApproval", "a candidate that waits for approval")
    second = steered.release("Candidate")
    assert f"{second}  Candidate AwaitingApproval" in steered.named("status").stdout
    assert f"kubectl ssi promote {NAME} -n {NAMESPACE}" in steered.named("explain").stdout
    steered.named("promote", "--dry-run")
    steered.named("promote")
    bed.follow(NAME, lambda i: i["status"].get("activeRelease") == second, f"{second} to answer", 120)

    # Back within seconds, and forward again.
    bed.follow(
        NAME, lambda i: any(r["role"] == "Previous" for r in i["status"]["releases"]), "one to go back to", 60
    )
    steered.named("rollback")
    bed.follow(NAME, lambda i: i["status"].get("activeRelease") == first, f"{first} to answer again", 60)
    held = steered.named("explain", code=0).stdout
    assert f"kubectl ssi rollback {NAME} -n {NAMESPACE} --clear" in held
    bed.patch(NAME, {"spec": {"vectorStore": {"milvus": {"index": {"m": None}}}}})
    steered.named("rollback", "--clear")

    # A refresh is run.
    bed.await_ready(NAME)
    steered.named("refresh")
    asked = bed.index(NAME)["metadata"]["annotations"]["semanticsearch.io/refresh-requested-at"]

    def served(index: Object) -> bool:
        refresh = index["status"]["refresh"]
        return refresh.get("servedRequest") == asked and not refresh["running"]

    bed.follow(NAME, served, "the refresh that was asked for", 180)
    steered.ssi("status", "-n", NAMESPACE)
    steered.ssi("cost", "-n", NAMESPACE)
