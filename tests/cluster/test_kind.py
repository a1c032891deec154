"""How far kind's own binary gets with kind-config.yaml where no Docker engine answers.

It decodes the file strictly before it asks for an engine. To get it to validate the nodes too, a stand-in for
the docker command answers ``info`` and ``ps`` and refuses the rest: kind then stops at pulling its image.
What a node does with the configuration is only seen where an engine answers, by bringing the cluster up.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.testbed.cluster.choice import KIND_CONFIG
from tests.testbed.cluster.images import docker_answers
from tests.testbed.cluster.toolchain import binary

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        docker_answers(), reason="a Docker engine answers: bring_up creates a cluster from the file"
    ),
]

STAND_IN = """#!/bin/sh
case "$1" in
  info) echo '{"CgroupVersion": "2", "CgroupDriver": "systemd", "MemoryLimit": true, "PidsLimit": true}' ;;
  ps | -v) ;;
  *) echo "stand-in refuses: $*" >&2; exit 1 ;;
esac
"""


def create(config: Path, folder: Path, *, engine: bool) -> str:
    """What kind says about a configuration; ``engine`` puts the stand-in for docker on its PATH."""
    programs = folder / "programs"
    programs.mkdir()
    if engine:
        (programs / "docker").write_text(STAND_IN)
        (programs / "docker").chmod(0o755)
        for needed in ("sh", "cat"):
            (programs / needed).symlink_to(shutil.which(needed) or "")
    command = [
        str(binary("kind", progress=print)),
        "create",
        "cluster",
        "--name",
        "never",
        "--config",
        str(config),
    ]
    environment = {
        "HOME": str(folder),
        "PATH": str(programs),
        "KUBECONFIG": str(folder / "kubeconfig"),
        "KIND_EXPERIMENTAL_PROVIDER": "docker",
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0, "kind made a cluster although there is no engine"
    return done.stderr


def broken(folder: Path, old: str, new: str) -> Path:
    text = KIND_CONFIG.read_text()
    assert old in text
    path = folder / "broken.yaml"
    path.write_text(text.replace(old, new))
    return path


def test_without_an_engine_the_file_is_decoded_and_only_the_engine_is_missed(tmp_path: Path) -> None:
    said = create(KIND_CONFIG, tmp_path, engine=False)
    assert "failed to get docker info" in said
    assert "config" not in said


def test_an_unknown_field_is_told_before_the_engine_is_missed(tmp_path: Path) -> None:
    said = create(broken(tmp_path, "labels:", "lables:"), tmp_path, engine=False)
    assert "field lables not found in type v1alpha4.Node" in said


def test_the_nodes_are_valid_so_that_only_the_node_image_is_missed(tmp_path: Path) -> None:
    said = create(KIND_CONFIG, tmp_path, engine=True)
    assert "Ensuring node image" in said
    assert "stand-in refuses: pull kindest/node" in said
    assert "invalid" not in said


def test_an_invalid_role_is_told_before_the_node_image_is_missed(tmp_path: Path) -> None:
    said = create(broken(tmp_path, "role: worker", "role: wrker"), tmp_path, engine=True)
    assert '"wrker" is not a valid node role' in said
    assert "node image" not in said
