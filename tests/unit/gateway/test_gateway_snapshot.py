"""The release file: what is read, what is kept, what is said."""

import os
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_plane.gateway.snapshot import BadSnapshot, SnapshotFile, parse_snapshot

from tests.unit.gateway.snapshots import identity, snapshot

GOOD = snapshot().to_json().encode()


def mount(folder: Path, version: str, content: bytes) -> Path:
    """Writes release.json as Kubernetes does: a new folder, then the symlink ..data is replaced."""
    data = folder / f"..{version}"
    data.mkdir()
    (data / "release.json").write_bytes(content)
    link = folder / "..data_tmp"
    link.symlink_to(data.name)
    os.replace(link, folder / "..data")
    file = folder / "release.json"
    if not file.is_symlink():
        file.symlink_to("..data/release.json")
    return file


def test_a_good_snapshot_is_read() -> None:
    assert parse_snapshot(GOOD) == snapshot()


@pytest.mark.parametrize("content", [b"", b"  \n", b"{}", b" {} "])
def test_an_empty_file_holds_no_release_yet(content: bytes) -> None:
    with pytest.raises(BadSnapshot, match="no release yet"):
        parse_snapshot(content)


def test_a_fingerprint_that_is_not_the_encoders_is_refused() -> None:
    lying = snapshot().model_copy(update={"fingerprint": identity("2").fingerprint()})
    with pytest.raises(BadSnapshot, match="fingerprint"):
        parse_snapshot(lying.to_json().encode())


def test_an_unknown_key_is_refused_by_name_without_its_value() -> None:
    content = orjson.dumps({**orjson.loads(GOOD), "pasword": "s3cret"})
    with pytest.raises(BadSnapshot, match="pasword") as refused:
        parse_snapshot(content)
    assert "s3cret" not in str(refused.value)


@given(st.integers(0, len(GOOD) - 1))
def test_no_half_written_file_is_taken(size: int) -> None:
    with pytest.raises(BadSnapshot):
        parse_snapshot(GOOD[:size])


@given(st.binary(max_size=200))
def test_rubbish_is_refused_and_never_crashes(content: bytes) -> None:
    with pytest.raises(BadSnapshot):
        parse_snapshot(content)


def test_a_swapped_configmap_is_seen(tmp_path: Path) -> None:
    file = SnapshotFile(mount(tmp_path, "1", GOOD))
    assert file.refresh()
    assert file.latest == snapshot()
    assert not file.refresh()
    second = snapshot("r-00000002")
    mount(tmp_path, "2", second.to_json().encode())
    assert file.refresh()
    assert file.latest == second
    assert file.error is None


def test_a_bad_file_keeps_the_last_good_snapshot_and_heals(tmp_path: Path) -> None:
    path = tmp_path / "release.json"
    file = SnapshotFile(path)
    assert file.refresh()
    assert (file.latest, file.error) == (None, "does not exist")

    path.write_bytes(GOOD)
    assert file.refresh()
    for bad in (GOOD[:100], b"", b"\xff\xfe", b"[1]"):
        path.write_bytes(bad)
        file.refresh()
        assert file.latest == snapshot()
        assert file.error is not None

    path.unlink()
    file.refresh()
    assert (file.latest, file.error) == (snapshot(), "does not exist")

    path.write_bytes(GOOD)
    assert file.refresh()
    assert (file.latest, file.error) == (snapshot(), None)


def test_a_release_that_is_taken_back_is_kept_no_longer(tmp_path: Path) -> None:
    file = SnapshotFile(mount(tmp_path, "1", GOOD))
    assert file.refresh()
    mount(tmp_path, "2", b"{}")
    assert file.refresh()
    assert (file.latest, file.error) == (None, "holds no release yet")
    mount(tmp_path, "3", GOOD)
    assert file.refresh()
    assert (file.latest, file.error) == (snapshot(), None)
