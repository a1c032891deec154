"""The HPA's controller and the encoders it scales, a minute at a time; modelled on Kubernetes' podautoscaler."""

import math
from collections import deque
from dataclasses import dataclass, field

from search_operator.render.encoder import BEHAVIOUR, CPU_TARGET_PERCENT

STEP = 60_000
# The controller leaves a deviation of a tenth alone.
_TOLERANCE = 0.1
_UP, _DOWN = BEHAVIOUR["scaleUp"], BEHAVIOUR["scaleDown"]
_UP_A_STEP = max(p["value"] * STEP // (p["periodSeconds"] * 1000) for p in _UP["policies"])
_DOWN_EVERY = max(p["periodSeconds"] * 1000 // p["value"] for p in _DOWN["policies"])
_REMEMBERED = _DOWN["stabilizationWindowSeconds"] * 1000 // STEP


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
    _made: int = 0
    _wished: deque[int] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _shrunk: int = 0

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
            return self._to(now, min(wish, count + _UP_A_STEP))
        steady = min(max(self._wished), maximum)
        if steady < count and now - self._shrunk >= _DOWN_EVERY:
            self._shrunk = now
            return self._to(now, count - 1)
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
