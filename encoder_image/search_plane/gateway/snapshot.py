"""The release snapshot in the mounted file: read, judged, and kept when the next one is bad."""

import logging
from pathlib import Path

from pydantic import ValidationError

from search_plane.release.record import ReleaseSnapshot

log = logging.getLogger(__name__)


class BadSnapshot(ValueError):
    """A release file that can't be used; the message says why in one line, without the file's values."""


class NoRelease(BadSnapshot):
    """`{}`: whoever writes the file says that there is nothing to serve."""


def parse_snapshot(content: bytes) -> ReleaseSnapshot:
    """The snapshot in a release file. Raises BadSnapshot for anything but a whole and consistent one."""
    if content.strip() == b"{}":
        raise NoRelease("holds no release yet")
    if not content.strip():
        raise BadSnapshot("holds no release yet")
    try:
        snapshot = ReleaseSnapshot.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadSnapshot(f"is no release snapshot: {where}: {first['msg']}") from None
    if snapshot.fingerprint != snapshot.encoder.fingerprint():
        raise BadSnapshot(f"release {snapshot.release} carries a fingerprint that is not its encoder's")
    return snapshot


class SnapshotFile:
    """Follows one release file. `latest` is the last good snapshot, `error` what is wrong with the file now.

    Only `{}` takes the last good snapshot back: its collection is about to be filled anew under the same name.

    The content is compared, not a time or an inode: Kubernetes swaps the symlink `..data` of a mounted
    ConfigMap, other files are written in place, and a half-written one is simply another content, read again.
    An `optional` file may be absent or hold `{}`: nothing is wrong then, there is just no snapshot.
    """

    def __init__(self, path: Path, optional: bool = False) -> None:
        self.path = path
        self.latest: ReleaseSnapshot | None = None
        self.error: str | None = None if optional else "was not read yet"
        self._optional = optional
        self._content: bytes | None = None

    def refresh(self) -> bool:
        """Reads the file if its content changed. True when `latest` or `error` is new."""
        before = (self.latest, self.error)
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            self._content, self.error = None, "does not exist"
            if self._optional:
                self.latest, self.error = None, None
        except OSError as error:
            self._content, self.error = None, f"can't be read: {error.strerror}"
        else:
            if content == self._content:
                return False
            self._content = content
            try:
                self.latest, self.error = parse_snapshot(content), None
            except NoRelease as error:
                self.latest, self.error = None, None if self._optional else str(error)
            except BadSnapshot as error:
                self.error = str(error)
        changed = (self.latest, self.error) != before
        if changed and self.error is not None:
            kept = self.latest and self.latest.release
            log.warning("%s %s", self.path.name, self.error, extra={"release": kept})
        return changed
