"""Credentials as a Secret's mounted files, read when they are needed so that a rotated one is picked up."""

from pathlib import Path


def read_credential(directory: str | None, name: str) -> str:
    """The content of file `name` without its trailing newline; empty when there is no such folder or file."""
    if directory is None:
        return ""
    try:
        return Path(directory, name).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
