"""kind-config.yaml says what the encoder's pods look for."""

from __future__ import annotations

import yaml

from tests.testbed.cluster.choice import KIND_CONFIG
from tests.testbed.cluster.gpu import LABEL


def test_workers_carry_the_accelerators_label_and_the_control_plane_does_not() -> None:
    config = yaml.safe_load(KIND_CONFIG.read_text())
    by_role: dict[str, list[dict[str, str]]] = {}
    for node in config["nodes"]:
        by_role.setdefault(node["role"], []).append(node.get("labels", {}))
    assert by_role["control-plane"] == [{}]
    assert by_role["worker"]
    assert all(labels == dict([LABEL]) for labels in by_role["worker"])
