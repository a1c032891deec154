"""What a build context contains as far as the image is concerned, boiled down to a digest."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

# Above this a file's size and modification time stand for its content: hashing weights takes seconds.
_READ_UP_TO_BYTES = 4 << 20


class IgnoreFile:
    """The patterns of a .dockerignore: globs with ``**``, ``!`` for exceptions, ``#`` for comments."""

    def __init__(self, text: str) -> None:
        self._rules: list[tuple[bool, re.Pattern[str]]] = []
        for raw in text.splitlines():
            line = raw.strip()
            if not line or line.startswith("#"):
                continue
            excluded = not line.startswith("!")
            pattern = os.path.normpath(line.removeprefix("!").strip()).strip("/")
            self._rules.append((excluded, re.compile(_regex(pattern))))
        self.has_exceptions = any(not excluded for excluded, _ in self._rules)

    def excludes(self, path: str) -> bool:
        """Whether that path, relative to the context with forward slashes, stays out; the last rule wins."""
        verdict = False
        for excluded, pattern in self._rules:
            if pattern.match(path):
                verdict = excluded
        return verdict


def _regex(pattern: str) -> str:
    """Regular expression of a pattern; it also matches whatever lies below a match."""
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        if pattern.startswith("**/", position):
            parts.append("(?:.*/)?")
            position += 3
        elif pattern.startswith("**", position):
            parts.append(".*")
            position += 2
        else:
            character = pattern[position]
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(character, re.escape(character)))
            position += 1
    return "".join(parts) + r"(?:/.*)?\Z"


def ignore_file_of(context: Path, dockerfile: Path) -> Path | None:
    """The ignore file that a build of this Dockerfile uses: its own, else the context's, else none."""
    for candidate in (dockerfile.with_name(f"{dockerfile.name}.dockerignore"), context / ".dockerignore"):
        if candidate.is_file():
            return candidate
    return None


def _files(context: Path, ignore: IgnoreFile) -> Iterator[Path]:
    for folder, names, files in os.walk(context):
        here = Path(folder)
        names.sort()
        relative = here.relative_to(context)
        # An excluded folder need not be entered, unless an exception may bring back something in it.
        if not ignore.has_exceptions:
            names[:] = [name for name in names if not ignore.excludes((relative / name).as_posix())]
        links = [name for name in names if (here / name).is_symlink()]
        for name in sorted([*files, *links]):
            if not ignore.excludes((relative / name).as_posix()):
                yield here / name


def digest_of(context: Path, ignore: IgnoreFile) -> str:
    """Hex digest over names, executable bits and contents of the files that the builder would see."""
    digest = hashlib.sha256()
    for path in _files(context, ignore):
        status = path.lstat()
        digest.update(f"\0{path.relative_to(context).as_posix()}\0{status.st_mode & 0o111}\0".encode())
        if path.is_symlink():
            digest.update(os.readlink(path).encode())
        elif status.st_size > _READ_UP_TO_BYTES:
            digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
        else:
            digest.update(path.read_bytes())
    return digest.hexdigest()
