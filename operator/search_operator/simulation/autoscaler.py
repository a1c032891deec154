"""The HPA's controller and the encoders it scales, a minute at a time; modelled on Kubernetes' podautoscaler."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from search_operator.api.autoscaling import Autoscaling
from search_operator.render.scaler import CPU_TARGET_PERCENT, behaviour

STEP = 60_000
# The controller leaves a deviation of a tenth alone.
_TOLERANCE = 0.1


@dataclass(frozen=True)
class Pace:
    """So many pods at most in so many milliseconds; a period shorter than a step is repeated in it."""

    pods: int
    every: int

    @classmethod
    def of(cls, rules: Mapping[str, Any]) -> "Pace":
        """By the one policy of a `scaleUp` or `scaleDown`."""
        (policy,) = rules["policies"]
        period = policy["periodSeconds"] * 1000
        return cls(policy["value"] * max(1, STEP // period), max(STEP, period))


@dataclass
class Encoder:
    """An encoder, paid for from `created` on, that answers from `ready` on. Milliseconds."""

    number: int
    created: int
    ready: int


@dataclass
class Scaled:
    """The Deployment behind its HPA."""

    capacity: float
    """Queries per second of one encoder."""
    start: int
    """How long an encoder takes to start, in milliseconds."""
    encoders: list[Encoder] = field(default_factory=list)
    scaling: Autoscaling = field(default_factory=Autoscaling)
    """How fast encoders come and go."""
    _made: int = 0
    _wished: deque[int] = field(default_factory=deque)
    _grown: int | None = None
    _shrunk: int = 0

    def __post_init__(self) -> None:
        rules = behaviour(self.scaling)
        self._up, self._down = Pace.of(rules["scaleUp"]), Pace.of(rules["scaleDown"])
        remembered = rules["scaleDown"]["stabilizationWindowSeconds"] * 1000 // STEP
        self._wished = deque(maxlen=max(1, remembered))

    def begin(self, now: int, count: int) -> None:
        """So many that run and are ready when the simulation begins."""
        self._to(now, count)
        for encoder in self.encoders:
            encoder.ready = now

    def ready(self, now: int) -> int:
        """Encoders that answer."""
        return sum(e.ready <= now for e in self.encoders)

    def step(self, now: int, load: float, minimum: int, maximum: int) -> list[Encoder]:
        """One look of the controller; returns the encoders that were ended."""
        count = len(self.encoders)
        wish = min(max(self._wish(now, load), minimum), maximum)
        self._wished.append(wish)
        # Beyond its bounds the controller goes there at once, whatever the policies say.
        if count < minimum:
            return self._to(now, minimum)
        if count > maximum:
            return self._to(now, maximum)
        if wish > count:
            if self._grown is not None and now - self._grown < self._up.every:
                return []
            self._grown = now
            return self._to(now, min(wish, count + self._up.pods))
        steady = min(max(self._wished), maximum)
        if steady < count and now - self._shrunk >= self._down.every:
            self._shrunk = now
            return self._to(now, max(steady, count - self._down.pods))
        return []

    def _wish(self, now: int, load: float) -> int:
        """By CPU, which can't be above full: an overload looks no worse than that."""
        count, ready = len(self.encoders), self.ready(now)
        if not ready:
            return count
        busy = min(1.0, load / (ready * self.capacity)) * ready
        counted = ready
        ratio = busy / counted / (CPU_TARGET_PERCENT / 100)
        if ratio > 1 and ready < count:
            # Those that start count as idle, so that they are waited for.
            counted = count
            ratio = max(1.0, busy / counted / (CPU_TARGET_PERCENT / 100))
        if abs(ratio - 1) <= _TOLERANCE:
            return count
        return math.ceil(counted * ratio - 1e-9)

    def _to(self, now: int, count: int) -> list[Encoder]:
        while len(self.encoders) < count:
            self._made += 1
            self.encoders.append(Encoder(self._made, now, now + self.start))
        ended = self.encoders[count:]
        del self.encoders[count:]
        return ended
