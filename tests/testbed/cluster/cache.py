"""Where the testbed keeps what it builds, outside the source tree."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_ENV = "SSO_CACHE"
# The embedded node mounts its own folders over these, so a cache below them would vanish inside it.
_SHADOWED = ("/run", "/var/run", "/var/lib", "/var/log")


class TestbedError(RuntimeError):
    """Something the testbed needs is missing or broke; the message says what to do about it."""

    __test__ = False


def cache_root() -> Path:
    """Folder for everything the testbed keeps: ``$SSO_CACHE``, else ``~/.cache/semantic-search-operator``.

    Raises TestbedError where the folder lies below one that the embedded node shadows.
    """
    given = os.environ.get(CACHE_ENV)
    root = (
        Path(given).expanduser().absolute() if given else Path.home() / ".cache" / "semantic-search-operator"
    )
    if any(root.is_relative_to(shadowed) for shadowed in _SHADOWED):
        raise TestbedError(
            f"{CACHE_ENV}={root} lies below a folder that the embedded node mounts over {_SHADOWED}; "
            f"choose another, for example {CACHE_ENV}=/srv/semantic-search-operator"
        )
    return root
