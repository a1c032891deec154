"""Builds images with a Docker engine where one answers, else with buildah; keeps them as archives."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from tests.testbed.cluster.build_context import IgnoreFile, digest_of, ignore_file_of
from tests.testbed.cluster.cache import TestbedError, cache_root
from tests.testbed.cluster.commands import run
from tests.testbed.cluster.prerequisites import ensure_prerequisites, program, require_root
from tests.testbed.cluster.toolchain import Progress, locked

BASE_IMAGE = "localhost/semantic-search/base:bookworm"
# What every Dockerfile of the project names as its default base; used where a registry can be reached.
OFFICIAL_BASE = "docker.io/library/python:3.11-slim-bookworm"
_SUITE = "bookworm"
_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
_USELESS_IN_AN_IMAGE = (
    *("var/cache/apt/archives", "var/lib/apt/lists", "var/log"),
    *("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale"),
)
_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_PIP_SETTINGS = Path("/etc/pip.conf")
_BUILD_SECONDS = 1800


def silent(_message: str) -> None:
    """A progress callback that says nothing."""


@functools.cache
def docker_answers() -> bool:
    """Whether a Docker engine answers (asked once per process)."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        done = subprocess.run(
            [docker, "info", "--format", "{{.ServerVersion}}"], capture_output=True, timeout=15, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    # The client alone exits with 0 and an empty server version in some releases.
    return done.returncode == 0 and bool(done.stdout.strip())


def _store() -> Path:
    return cache_root() / "buildah"


def _buildah(*arguments: str | Path) -> list[str]:
    """A buildah command on our own store, so that nothing lands in the machine's."""
    own = [
        "--root",
        str(_store() / "root"),
        "--runroot",
        str(_store() / "run"),
        "--storage-driver",
        "overlay",
    ]
    return [program("buildah") or "buildah", *own, *(str(argument) for argument in arguments)]


def _environment() -> dict[str, str]:
    # buildah's own TLS set-up stumbles over a folder of certificates given this way.
    return {name: value for name, value in os.environ.items() if name != "SSL_CERT_DIR"}


def _stored_id(image: str) -> str | None:
    """Id of an image that the builder has at hand, or None."""
    if docker_answers():
        ask = ["docker", "image", "inspect", "--format", "{{.Id}}", image]
    else:
        ask = _buildah("images", "--quiet", "--no-trunc", "--filter", f"reference={image}")
    done = subprocess.run(ask, capture_output=True, text=True, env=_environment(), check=False)
    return done.stdout.split("\n")[0].strip() or None if done.returncode == 0 else None


def _debian_mirror() -> str:
    """The mirror that this machine's apt uses for the suite, else Debian's own."""
    apt = shutil.which("apt-get")
    if apt is not None:
        asked = [apt, "indextargets", "--format", "$(SITE)", f"Codename: {_SUITE}"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        for site in done.stdout.split():
            if (
                "debian.org/debian-security" not in site
                and "security" not in site
                and site.startswith("http")
            ):
                return site
    return "http://deb.debian.org/debian"


def build_base(*, progress: Progress = silent) -> str:
    """Make sure that the base image exists and return its name.

    With a Docker engine that is the official Python image (pulled by the build). Without one it is Debian
    bookworm with its Python 3.11 and pip, made with debootstrap once per cache.
    """
    if docker_answers():
        return OFFICIAL_BASE
    require_root()
    ensure_prerequisites(progress)
    if _stored_id(BASE_IMAGE) is not None:
        return BASE_IMAGE
    with locked(cache_root() / "buildah.lock"):
        if _stored_id(BASE_IMAGE) is None:
            _bootstrap(progress)
    return BASE_IMAGE


def _bootstrap(progress: Progress) -> None:
    began = time.monotonic()
    root = cache_root() / "base-root"
    shutil.rmtree(root, ignore_errors=True)
    progress(f"base image: debootstrap {_SUITE} with Python 3.11")
    run(
        [
            program("debootstrap") or "debootstrap",
            "--variant=minbase",
            f"--include={_PACKAGES}",
            _SUITE,
            root,
            _debian_mirror(),
        ],
        what="debootstrap",
        timeout=_BUILD_SECONDS,
        remedy=f"check the network and the mirror; what it did is in {root / 'debootstrap/debootstrap.log'}",
    )
    for useless in _USELESS_IN_AN_IMAGE:
        shutil.rmtree(root / useless, ignore_errors=True)
        (root / useless).mkdir(parents=True)
    # As in the official image: `python` exists, and pip may install outside a virtual environment.
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    environment = _environment()

    def buildah(*arguments: str | Path) -> str:
        return run(
            _buildah(*arguments), what=f"buildah {arguments[0]}", timeout=600, environment=environment
        ).strip()

    container = buildah("from", "scratch")
    buildah("copy", "-q", container, root, "/")
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    buildah("config", "--env", path, "--env", "LANG=C.UTF-8", "--cmd", "python3", container)
    buildah("commit", "-q", "--rm", container, BASE_IMAGE)
    shutil.rmtree(root)
    progress(f"base image: done in {time.monotonic() - began:.0f} s")


def build_image(
    tag: str,
    context: Path,
    *,
    dockerfile: Path | None = None,
    build_args: Mapping[str, str] | None = None,
    extra_contexts: Mapping[str, Path] | None = None,
    progress: Progress = silent,
) -> Path:
    """Build ``tag`` (name:tag) from a context folder and return its docker-archive.

    ``dockerfile`` defaults to the context's; ``extra_contexts`` are named folders for ``COPY --from=name``.
    Nothing is built while files (as far as .dockerignore lets them in), Dockerfile, arguments and base stay
    the same. Different tags may be built at the same time. Raises TestbedError when the build fails.
    """
    context = context.resolve()
    recipe = (dockerfile or context / "Dockerfile").resolve()
    text = recipe.read_text()
    arguments = dict(build_args or {})
    if "BASE" in text and "BASE" not in arguments:
        arguments["BASE"] = build_base(progress=progress)
    extra = {name: folder.resolve() for name, folder in (extra_contexts or {}).items()}
    ignore_path = ignore_file_of(context, recipe)
    ignore = IgnoreFile(ignore_path.read_text() if ignore_path else "")
    base = _stored_id(arguments["BASE"]) if "BASE" in arguments else None
    facts = [
        tag, base, sorted(arguments.items()), text, digest_of(context, ignore),
        {name: digest_of(folder, IgnoreFile("")) for name, folder in sorted(extra.items())},
    ]  # fmt: skip
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
    stem = _stem(tag)
    archive = cache_root() / "images" / f"{stem}-{key}.tar"
    if archive.exists():
        return archive
    with locked(cache_root() / "images" / f"{stem}.lock"):
        if archive.exists():
            return archive
        progress(f"image {tag}: building")
        began = time.monotonic()
        options = [
            option for name, value in arguments.items() for option in ("--build-arg", f"{name}={value}")
        ]
        options += [
            option for name, folder in extra.items() for option in ("--build-context", f"{name}={folder}")
        ]
        options += ["-t", tag, "-f", str(recipe)]
        part = archive.with_suffix(".part")
        part.unlink(missing_ok=True)
        if docker_answers():
            _with_docker(tag, options, context, part)
        else:
            _with_buildah(tag, options, context, part, ignore_path)
        for older in archives_of(tag):
            older.unlink()
        part.rename(archive)
        progress(f"image {tag}: done in {time.monotonic() - began:.0f} s, {archive.stat().st_size >> 20} MiB")
    return archive


def _stem(tag: str) -> str:
    """Start of the archive's file name: the tag with nothing a file name cannot hold."""
    return re.sub(r"[^a-zA-Z0-9.-]+", "-", tag)


def archives_of(tag: str) -> list[Path]:
    """Archives of that tag in the cache: one, or none when it was never built."""
    return sorted((cache_root() / "images").glob(f"{_stem(tag)}-{'[0-9a-f]' * 12}.tar"))


def _with_docker(tag: str, options: list[str], context: Path, archive: Path) -> None:
    run(["docker", "build", *options, context], what=f"docker build {tag}", timeout=_BUILD_SECONDS)
    run(["docker", "save", "-o", archive, tag], what=f"docker save {tag}", timeout=600)


def _with_buildah(tag: str, options: list[str], context: Path, archive: Path, ignore: Path | None) -> None:
    how = ["--layers", "--isolation", "chroot", "--network", "host", "--pull-never", "--format", "docker"]
    # Builds reach package registries the way this machine does, without its settings ending up in the image.
    if _PIP_SETTINGS.is_file():
        how += ["-v", f"{_PIP_SETTINGS}:{_PIP_SETTINGS}:ro"]
    if _CA_BUNDLE.is_file():
        copy = cache_root() / "ca-bundle.crt"
        # Images may be built side by side, by threads of one process too.
        part = copy.with_name(f"ca-bundle.{os.getpid()}-{threading.get_ident()}.part")
        shutil.copyfile(_CA_BUNDLE, part)
        part.rename(copy)
        how += ["-v", f"{copy}:{_CA_BUNDLE}:ro"]
    if ignore is not None:
        how += ["--ignorefile", str(ignore)]
    environment = _environment()
    run(
        _buildah("bud", *how, *options, context),
        what=f"buildah bud {tag}",
        timeout=_BUILD_SECONDS,
        environment=environment,
        remedy="if a package could not be fetched: check network and pip's index, then run it again",
    )
    run(
        _buildah("push", "-q", tag, f"docker-archive:{archive}:{tag}"),
        what=f"exporting {tag}",
        timeout=600,
        environment=environment,
    )


def remove_images() -> None:
    """Drop every built image, archive and the base from the cache."""
    if program("buildah") is not None and _store().exists():
        run(_buildah("rmi", "--all", "--force"), what="buildah rmi", timeout=120, environment=_environment())
    for folder in (_store(), cache_root() / "images"):
        if folder.exists():
            _unmount_below(folder)
            shutil.rmtree(folder)


def _unmount_below(folder: Path) -> None:
    """Undo buildah's own mounts; refuse to delete below any other: TestbedError names it."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    inside = [mount for mount in mounts if Path(mount).is_relative_to(folder) and Path(mount) != folder]
    busy = [mount for mount in inside if not mount.endswith("/overlay")]
    if busy:
        raise TestbedError(f"still mounted: {busy}; `umount` them, then delete {folder}")
    for mount in inside:
        run(["umount", mount], what=f"umount {mount}")
