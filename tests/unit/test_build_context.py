"""Which changes make an image stale: the digest of a build context."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testbed.cluster.build_context import IgnoreFile, digest_of, ignore_file_of


@pytest.mark.parametrize(
    ("patterns", "path", "excluded"),
    [
        (".venv", ".venv/bin/python", True),
        ("/dist/", "dist/wheel.whl", True),
        ("*.log", "a.log", True),
        ("*.log", "sub/a.log", False),
        ("**/*.log", "a.log", True),
        ("**/*.log", "sub/deep/a.log", True),
        ("**/__pycache__", "pkg/__pycache__/m.pyc", True),
        ("docs\n!docs/keep.md", "docs/keep.md", False),
        ("docs\n!docs/keep.md", "docs/other.md", True),
        ("*\n!operator", "operator/m.py", False),
        ("*\n!operator", "tests/t.py", True),
        ("# a comment\n\n", "a comment", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a.c", "abc", False),
    ],
)
def test_ignore_patterns_mean_what_builders_mean(patterns: str, path: str, excluded: bool) -> None:
    assert IgnoreFile(patterns).excludes(path) is excluded


def test_digest_follows_what_the_builder_sees_and_nothing_else(tmp_path: Path) -> None:
    ignore = IgnoreFile("*.log\n.venv")
    (tmp_path / ".venv").mkdir()
    (tmp_path / "app.py").write_text("print(1)")
    before = digest_of(tmp_path, ignore)

    (tmp_path / "noise.log").write_text("noise")
    (tmp_path / ".venv" / "lib.py").write_text("noise")
    assert digest_of(tmp_path, ignore) == before

    (tmp_path / "app.py").write_text("print(2)")
    changed = digest_of(tmp_path, ignore)
    assert changed != before

    (tmp_path / "app.py").chmod(0o755)
    executable = digest_of(tmp_path, ignore)
    assert executable != changed

    (tmp_path / "app.py").rename(tmp_path / "main.py")
    assert digest_of(tmp_path, ignore) != executable


def test_a_dockerfiles_own_ignore_file_comes_first(tmp_path: Path) -> None:
    dockerfile = tmp_path / "image" / "Dockerfile"
    dockerfile.parent.mkdir()
    assert ignore_file_of(tmp_path, dockerfile) is None
    shared = tmp_path / ".dockerignore"
    shared.touch()
    assert ignore_file_of(tmp_path, dockerfile) == shared
    own = dockerfile.with_name("Dockerfile.dockerignore")
    own.touch()
    assert ignore_file_of(tmp_path, dockerfile) == own
