"""`kubectl ssi` against a real API server, through the real kubectl: every verb, and what goes wrong.

No operator runs: statuses are those that its own status() has written (tests/unit/cli/recorded_indexes.py), put there
through the status subresource.
"""

import contextlib
import json
import os
import pty
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from search_operator.cli import live as live_module
from search_operator.cli import resources as resources_module
from search_operator.cli.edits import operations, pause
from search_operator.cli.live import Live, Moved
from search_operator.cli.resources import Unreadable
from search_operator.money.ledger import Ledger, MonthAccount

from tests.cluster.kubectl_plugin import WITHIN, Done, Plugin
from tests.testbed.apiserver import ApiServer
from tests.testbed.cluster.commands import wait_until
from tests.unit.cli.recorded_indexes import recorded, release_named

pytest_plugins = ["tests.testbed.apiserver_fixtures"]
pytestmark = pytest.mark.cluster

Object = dict[str, Any]
VERBS = ("status", "cost", "explain", "promote", "rollback", "refresh", "pause", "resume")


@pytest.fixture(scope="module")
def plugin(apiserver: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Plugin:
    """On the API server's own kubectl."""
    return Plugin.install(tmp_path_factory.mktemp("bin"), apiserver.kubectl, apiserver.kubeconfig)


def _live(server: ApiServer, name: str) -> Object:
    """The index as the API server has it."""
    asked = ("get", "ssi", "-n", "search", name, "-o", "json", "--show-managed-fields")
    return dict(json.loads(server.ask(*asked)))


def _put(server: ApiServer, life: str, name: str = "products") -> Object:
    """An index at that point of its life; returns it as recorded."""
    index = recorded(life)
    index["metadata"] = {"name": name, "namespace": "search"}
    status = index.pop("status")
    server.ask("create", "-f", "-", stdin=json.dumps(index))
    patch = json.dumps({"status": status | {"observedGeneration": 1}})
    server.ask("patch", "ssi", name, "-n", "search", "--subresource=status", "--type=merge", "-p", patch)
    return index | {"status": status}


@pytest.fixture
def server(apiserver: ApiServer) -> Iterator[ApiServer]:
    """The API server, without indexes before and after."""
    yield apiserver
    apiserver.ask("delete", "ssi,pods,events,configmaps", "--all", "-n", "search", "--wait=false")
    for leftover in apiserver.ask("get", "ssi", "-n", "search", "-o", "name").split():
        patch = '{"metadata":{"finalizers":null}}'
        apiserver.ask("patch", leftover, "-n", "search", "--type=merge", "-p", patch)


def test_kubectl_finds_the_plugin_and_shows_its_verbs(plugin: Plugin) -> None:
    said = plugin.ssi("--help")
    assert said.returncode == 0, said.stderr
    assert "Usage: kubectl ssi [OPTIONS] COMMAND" in said.stdout
    assert all(f"\n  {verb} " in said.stdout for verb in (*VERBS, "plan", "simulate"))
    assert plugin.ssi().stdout == said.stdout


def test_kubectl_completes_verbs_and_names(server: ApiServer, plugin: Plugin) -> None:
    _put(server, "serving")
    # As its completion scripts ask.
    verbs = plugin.run("__complete", "ssi", "ro")
    assert verbs.stdout.splitlines()[0].startswith("rollback\t"), verbs.stderr
    assert plugin.run("__complete", "ssi", "pause", "-n", "search", "").stdout.splitlines()[0] == "products"


def test_status_of_one_and_of_all(server: ApiServer, plugin: Plugin) -> None:
    index = _put(server, "switching")
    _put(server, "building", "shoes")
    one = plugin.ssi("status", "products", "-n", "search")
    assert (one.returncode, one.stderr) == (0, "")
    assert "search/products  Serving  Ready" in one.stdout
    assert f"{release_named(index, 'Candidate')}  Candidate Building" in one.stdout
    rows = plugin.ssi("status", "-A").stdout.splitlines()
    assert [row.split()[:3] for row in rows[1:]] == [
        ["search", "products", "True"],
        ["search", "shoes", "False"],
    ]
    assert json.loads(plugin.ssi("status", "shoes", "-n", "search", "-o", "json").stdout)["ready"] is False


def test_status_is_drawn_again_when_it_changes(server: ApiServer, plugin: Plugin, tmp_path: Path) -> None:
    _put(server, "serving")
    log = tmp_path / "watched"
    with log.open("w") as out:
        command = [str(server.kubectl), "ssi", "status", "products", "-n", "search", "--watch"]
        watching = subprocess.Popen(command, env=plugin.environment, stdout=out, stderr=out)
    try:
        wait_until(lambda: "Serving  Ready" in log.read_text(), what="the first screen", timeout=WITHIN)
        change = json.dumps({"status": {"phase": "Degraded"}})
        server.ask(
            "patch", "ssi", "products", "-n", "search", "--subresource=status", "--type=merge", "-p", change
        )
        wait_until(lambda: "Degraded" in log.read_text(), what="the second screen", timeout=WITHIN)
        assert log.read_text().count("search/products  ") == 2
    finally:
        watching.terminate()
        watching.wait(WITHIN)


def test_on_a_terminal_it_is_drawn_in_place_until_ctrl_c(server: ApiServer, plugin: Plugin) -> None:
    _put(server, "serving")
    ours, theirs = pty.openpty()
    command = [str(server.kubectl), "ssi", "status", "products", "-n", "search", "-w"]
    # A session of its own with that terminal, so that Ctrl-C reaches it as it does a user's; CI may have it ignored.
    watching = subprocess.Popen(
        ["setsid", "--ctty", "--wait", "env", "--default-signal=INT", *command],
        env=plugin.environment | {"TERM": "xterm", "COLUMNS": "110", "LINES": "60"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    os.set_blocking(ours, False)
    drawn = b""

    def shows(text: str) -> bool:
        nonlocal drawn
        with contextlib.suppress(BlockingIOError):
            drawn += os.read(ours, 65536)
        return text.encode() in drawn

    try:
        wait_until(lambda: shows("Serving"), what="the first screen", timeout=WITHIN)
        change = json.dumps({"status": {"phase": "Degraded"}})
        server.ask(
            "patch", "ssi", "products", "-n", "search", "--subresource=status", "--type=merge", "-p", change
        )
        wait_until(lambda: shows("Degraded"), what="the second screen", timeout=WITHIN)
        # Drawn over the first one, in colours.
        assert b"\x1b[1A" in drawn
        assert b"\x1b[32m" in drawn
        os.write(ours, b"\x03")
        assert watching.wait(WITHIN) == 130
        shows("the last of it")
        assert b"Traceback" not in drawn
    finally:
        watching.kill()
        watching.wait()
        os.close(ours)


def test_explain_reads_conditions_pods_and_events(server: ApiServer, plugin: Plugin) -> None:
    _put(server, "building")
    labels = {"semanticsearch.io/index": "products", "app.kubernetes.io/component": "encoder"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "products-encoder-1", "namespace": "search", "labels": labels},
        "spec": {"containers": [{"name": "encoder", "image": "encoder"}]},
    }
    server.ask("create", "-f", "-", stdin=json.dumps(pod))
    why = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu"
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why}
    patch = json.dumps({"status": {"conditions": [unschedulable]}})
    server.ask(
        "patch",
        "pod",
        "products-encoder-1",
        "-n",
        "search",
        "--subresource=status",
        "--type=merge",
        "-p",
        patch,
    )
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "products-encoder.1", "namespace": "search"},
        "involvedObject": {"kind": "ReplicaSet", "name": "products-encoder-5f", "namespace": "search"},
        "type": "Warning",
        "reason": "FailedCreate",
        "message": "exceeded quota: gpus",
        "lastTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    server.ask("create", "-f", "-", stdin=json.dumps(event))
    said = plugin.ssi("explain", "products", "-n", "search")
    assert said.returncode == 1, said.stderr
    assert "search/products is not Ready" in said.stdout
    text = " ".join(said.stdout.split())
    assert f"1. Pods of encoder Unschedulable: pod products-encoder-1 has no node: {why}" in text
    assert "2. Events FailedCreate: ReplicaSet products-encoder-5f: exceeded quota: gpus" in text


def test_explain_of_one_that_is_ready_ends_with_0(server: ApiServer, plugin: Plugin) -> None:
    _put(server, "serving")
    said = plugin.ssi("explain", "-n", "search")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("search/products is Ready")


def test_cost_reads_the_ledger(server: ApiServer, plugin: Plugin, tmp_path: Path) -> None:
    _put(server, "serving")
    spent = MonthAccount(month="2026-11", items={"encoder": 12_340_000 * 3_600_000})
    ledger = Ledger(currency="USD", upto=0, months=(spent,))
    server.ask(
        "create",
        "configmap",
        "products-ledger",
        "-n",
        "search",
        f"--from-literal=ledger.json={ledger.to_json()}",
    )
    said = plugin.ssi("cost", "products", "-n", "search", "--png", str(tmp_path / "cost.png"))
    assert (said.returncode, said.stderr) == (0, "")
    assert "encoder              12.34  100 %" in said.stdout
    assert (tmp_path / "cost.png").read_bytes().startswith(b"\x89PNG")
    assert "products   2026-11" in plugin.ssi("cost", "-n", "search").stdout


def test_plan_asks_the_server_and_shows_a_diff(server: ApiServer, plugin: Plugin) -> None:
    index = _put(server, "serving")
    index.pop("status")
    same = plugin.ssi("plan", "-f", "-", "--diff", stdin=yaml.safe_dump(index))
    assert (same.returncode, same.stderr) == (0, "")
    assert "---" not in same.stdout
    index["spec"]["encoder"]["precision"] = "int8"
    other = plugin.ssi("plan", "-f", "-", "--diff", stdin=yaml.safe_dump(index))
    assert other.returncode == 1, other.stderr
    assert "+    precision: int8" in other.stdout or "+  precision: int8" in other.stdout
    assert "capacity by part" in other.stdout
    index["spec"]["encoder"]["autoscaling"]["minReplicas"] = 0
    assert plugin.ssi("plan", "-f", "-", stdin=yaml.safe_dump(index)).returncode == 2


def test_promote_rollback_refresh_pause_and_resume(server: ApiServer, plugin: Plugin) -> None:
    awaiting, switching = _put(server, "awaiting"), _put(server, "switching", "shoes")
    candidate, kept = release_named(awaiting, "Candidate"), release_named(switching, "Previous")
    for dry in (("--dry-run",), ()):
        before = _live(server, "products")["spec"], _live(server, "shoes")["spec"]
        done = [
            plugin.ssi("promote", "products", "-n", "search", *dry),
            plugin.ssi("rollback", "shoes", "-n", "search", *dry),
            plugin.ssi("refresh", "products", "-n", "search", *dry),
            plugin.ssi("refresh", "shoes", "-n", "search", "--full", *dry),
            plugin.ssi("pause", "products", "-n", "search", *dry),
        ]
        assert [each.returncode for each in done] == [0] * 5, [each.stderr for each in done]
        assert all(("nothing was kept" in each.stdout) == bool(dry) for each in done)
        if dry:
            assert (_live(server, "products")["spec"], _live(server, "shoes")["spec"]) == before
    products, shoes = _live(server, "products"), _live(server, "shoes")
    assert products["spec"]["rollout"]["approvedRelease"] == candidate
    assert shoes["spec"]["rollout"]["rollbackTo"] == kept
    assert "semanticsearch.io/refresh-requested-at" in products["metadata"]["annotations"]
    assert shoes["spec"]["refresh"]["mode"] == "Full"
    assert products["spec"]["paused"] is True
    managers = {entry["manager"] for entry in products["metadata"]["managedFields"]}
    assert "kubectl-ssi" in managers
    assert plugin.ssi("resume", "products", "-n", "search").returncode == 0
    assert _live(server, "products")["spec"]["paused"] is False
    assert plugin.ssi("rollback", "shoes", "-n", "search", "--clear").returncode == 0
    assert "rollbackTo" not in _live(server, "shoes")["spec"]["rollout"]
    refused = plugin.ssi("promote", "shoes", "-n", "search")
    assert refused.returncode == 2
    assert "rollout.promotion is Automatic" in refused.stderr


def test_what_is_committed_is_what_was_changed(server: ApiServer, plugin: Plugin) -> None:
    index = _put(server, "switching")
    said = plugin.ssi("rollback", "products", "-n", "search")
    lines = said.stdout.splitlines()
    committed = yaml.safe_load("\n".join(lines[lines.index("In Git, commit instead:") + 1 :]))
    assert committed["spec"]["rollout"] == {"rollbackTo": release_named(index, "Previous")}
    applied = index | {"metadata": {"name": "products", "namespace": "search"}}
    applied.pop("status")
    applied["spec"]["rollout"] |= committed["spec"]["rollout"]
    before = _live(server, "products")["spec"]
    server.ask("replace", "-f", "-", stdin=json.dumps(applied))
    assert _live(server, "products")["spec"] == before


def test_a_write_on_top_of_something_else_is_refused_by_the_server(server: ApiServer) -> None:
    _put(server, "serving")
    live = Live.open(str(server.kubeconfig), None, "search")
    read = live.index("products")
    server.ask("annotate", "ssi", "products", "-n", "search", "moved=on")
    with pytest.raises(Moved):
        live.patch(read, operations(read, pause(read, paused=True)), dry_run=False)
    again = live.index("products")
    assert again["spec"]["paused"] is False
    assert (
        live.patch(again, operations(again, pause(again, paused=True)), dry_run=False)["spec"]["paused"]
        is True
    )


def _one_line(done: Done, *says: str) -> None:
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for part in says:
        assert part in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_name_is_one_line_with_the_right_one(server: ApiServer, plugin: Plugin, verb: str) -> None:
    _put(server, "serving")
    _one_line(
        plugin.ssi(verb, "prodcuts", "-n", "search"),
        "Error: namespace search has no SemanticSearchIndex prodcuts; did you mean products?",
    )


def test_a_wrong_namespace_or_context_is_one_line(server: ApiServer, plugin: Plugin) -> None:
    _put(server, "serving")
    _one_line(
        plugin.ssi("explain", "products", "-n", "serach"),
        "namespace serach has no SemanticSearchIndex (there is no such namespace); one of that name is in search",
    )
    _one_line(
        plugin.ssi("explain", "products", "--context", "production"),
        "the kubeconfig has no context production; it has: test",
    )


def test_no_rights_are_one_line(server: ApiServer, plugin: Plugin, tmp_path: Path) -> None:
    _put(server, "serving")
    server.ask("create", "serviceaccount", "jane", "-n", "search")
    server.ask(
        "create",
        "role",
        "looks",
        "-n",
        "search",
        "--verb=get,list",
        "--resource=semanticsearchindexes.semanticsearch.io",
    )
    try:
        token = server.ask("create", "token", "jane", "-n", "search").strip()
        made = yaml.safe_load(server.kubeconfig.read_text())
        made["users"][0]["user"] = {"token": token}
        path = tmp_path / "jane"
        path.write_text(yaml.safe_dump(made), encoding="utf-8")
        as_jane = {"KUBECONFIG": str(path)}
        for verb in VERBS:
            _one_line(
                plugin.ssi(verb, "products", "-n", "search", **as_jane),
                'User "system:serviceaccount:search:jane" cannot get resource "semanticsearchindexes"',
            )
        server.ask(
            "create", "rolebinding", "looks", "-n", "search", "--role=looks", "--serviceaccount=search:jane"
        )
        # Who may look at indexes only is told what else was not looked at.
        seen: list[Done] = []

        def looks() -> bool:
            seen.append(plugin.ssi("explain", "products", "-n", "search", **as_jane))
            return seen[-1].returncode == 0

        wait_until(looks, what="the Role to count", timeout=WITHIN, every=0.5)
        assert "not looked at: pods: " in seen[-1].stdout
        _one_line(
            plugin.ssi("pause", "products", "-n", "search", **as_jane),
            "cannot patch resource",
            "ask for a Role",
        )
    finally:
        for what in ("rolebinding/looks", "role/looks", "serviceaccount/jane"):
            server.ask("delete", what, "-n", "search", "--ignore-not-found")


def test_a_missing_crd_is_told_as_that(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server knows no such group, as before the operator is installed."""
    for module in (live_module, resources_module):
        monkeypatch.setattr(module, "GROUP", "not-installed.semanticsearch.io")
    live = Live.open(str(server.kubeconfig), None, "search")
    for ask in (live.indexes, lambda: live.index("products")):
        with pytest.raises(Unreadable, match="the cluster does not know SemanticSearchIndex: install"):
            ask()


def test_a_cluster_that_is_away_is_one_line(server: ApiServer, plugin: Plugin, tmp_path: Path) -> None:
    away = yaml.safe_load(server.kubeconfig.read_text())
    away["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(away), encoding="utf-8")
    for verb in VERBS:
        _one_line(plugin.ssi(verb, "products", KUBECONFIG=str(path)), "the API server does not answer")
