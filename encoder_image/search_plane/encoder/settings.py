"""What the encoder is told by its environment, and how many cores it may use."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from pydantic import ValidationError

from search_plane.release.identity import EncoderIdentity

CGROUP = Path("/sys/fs/cgroup")
Device = Literal["auto", "cuda", "cpu"]
MAX_CLIENT_BATCH_SIZE = 256
MAX_BODY_BYTES = 2 * 1024 * 1024
# A token told with its place takes fifty times the bytes of its text.
MAX_TOKENIZE_CHARACTERS = 100_000


class SettingsError(Exception):
    """A variable of the environment is missing or wrong; the message is one line that names it."""


@dataclass(frozen=True)
class Settings:
    """Settings of one encoder process.

    `max_batch_tokens` counts tokens with padding in one batch, `max_batch_size` texts; `max_queue_tokens` is
    the number of waiting tokens from which on requests are refused (429); `threads` is the number of cores
    used on a CPU. `probe_seconds` is the time between two checks of the probes, `drain_seconds` how long the
    server still accepts after SIGTERM (for load balancers that learn late). `device` `cuda` refuses to start without a GPU
    that works; `auto` takes one where there is one. `reranker_dir` holds a cross-encoder to
    serve beside, pinned by `reranker_weights` (`artefact:sha256:<hex>`), with `max_rerank_tokens` that may wait.
    """

    identity: EncoderIdentity
    model_dir: Path = Path("/models")
    host: str = "0.0.0.0"  # noqa: S104  a pod's server answers on every address of the pod
    port: int = 8080
    max_batch_tokens: int = 1024
    max_batch_size: int = 32
    max_queue_tokens: int = 16384
    threads: int = 1
    probe_seconds: float = 10.0
    drain_seconds: float = 3.0
    device: Device = "auto"
    reranker_dir: Path | None = None
    reranker_weights: str = ""
    # Two requests of 100 pairs of 64 tokens.
    max_rerank_tokens: int = 12800

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Read the environment. Raises SettingsError naming the variable that is missing or wrong."""
        text = env.get("ENCODER_IDENTITY", "")
        if not text:
            raise SettingsError("ENCODER_IDENTITY: expected the encoder's identity as JSON, found nothing")
        try:
            identity = EncoderIdentity.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise SettingsError(f"ENCODER_IDENTITY: {place}: {first['msg']}") from error
        return cls(
            identity=identity,
            model_dir=Path(env.get("MODEL_DIR") or "/models"),
            host=env.get("HOST") or cls.host,
            port=int(number_in(env, "PORT", cls.port, least=0)),
            max_batch_tokens=int(number_in(env, "MAX_BATCH_TOKENS", cls.max_batch_tokens, least=1)),
            max_batch_size=int(number_in(env, "MAX_BATCH_SIZE", cls.max_batch_size, least=1)),
            max_queue_tokens=int(number_in(env, "MAX_QUEUE_TOKENS", cls.max_queue_tokens, least=1)),
            threads=int(number_in(env, "THREADS", available_cores(), least=1)),
            probe_seconds=number_in(env, "PROBE_SECONDS", cls.probe_seconds, least=0.01),
            drain_seconds=number_in(env, "DRAIN_SECONDS", cls.drain_seconds, least=0),
            device=device_in(env),
            reranker_dir=Path(env["RERANKER_DIR"]) if env.get("RERANKER_DIR") else None,
            reranker_weights=env.get("RERANKER_WEIGHTS", ""),
            max_rerank_tokens=int(number_in(env, "MAX_RERANK_TOKENS", cls.max_rerank_tokens, least=1)),
        )


def device_in(env: Mapping[str, str]) -> Device:
    """DEVICE, `auto` where it is not given. Raises SettingsError."""
    text = env.get("DEVICE") or "auto"
    for device in get_args(Device):
        if text == device:
            return cast(Device, device)
    raise SettingsError(f"DEVICE: expected one of {', '.join(get_args(Device))}, found {text!r}")


def available_cores(cgroup: Path = CGROUP) -> int:
    """Cores this process may use: its affinity, or the cgroup's quota (v2 or v1) where that is less.

    At least 1.
    """
    cores = float(len(os.sched_getaffinity(0)))
    return max(1, math.ceil(min(cores, _quota(cgroup) or cores)))


def _quota(cgroup: Path) -> float | None:
    """Cores that the cgroup's CPU quota allows; None where there is none."""
    try:
        if (cgroup / "cpu.max").exists():
            quota, period = (cgroup / "cpu.max").read_text().split()
        else:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        return None if quota == "max" or int(quota) <= 0 else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def number_in(env: Mapping[str, str], name: str, default: float, *, least: float) -> float:
    """A number of at least `least`, of the default's type. Raises SettingsError naming the variable."""
    text = env.get(name, "")
    if not text:
        return default
    kind = type(default)
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= least):
        raise SettingsError(f"{name}: expected a number of at least {least:g}, found {text!r}")
    return value
