"""How the calls of the last seconds ended: ten slots of counts, whatever the load."""

from typing import Final

from search_plane.gateway.protection.circuit import Counts, Outcome

SLOTS: Final = 10
# The part of the window that is `recent`: 3 s of 10.
RECENT: Final = 3
_KINDS: Final = {"good": 0, "slow": 1, "failed": 2, "refused": 3}


class Window:
    """Counts of calls by outcome. Every time is seconds of one clock that never goes back."""

    def __init__(self) -> None:
        self._width = 0.0
        self._slots: list[list[int]] = []
        self._ticks: list[int] = []

    def add(self, result: Outcome, now: float, seconds: float) -> None:
        """One call ended, in a window of `seconds`. Another width than before starts anew; `nothing` is not counted."""
        kind = _KINDS.get(result)
        if kind is None:
            return
        tick = self._tick(now, seconds)
        place = tick % SLOTS
        if self._ticks[place] != tick:
            self._ticks[place] = tick
            self._slots[place] = [0, 0, 0, 0]
        self._slots[place][kind] += 1

    def counts(self, now: float, seconds: float, slots: int = SLOTS) -> Counts:
        """The last `slots` tenths of the window up to now."""
        tick = self._tick(now, seconds)
        seen = [s for s, t in zip(self._slots, self._ticks, strict=True) if 0 <= tick - t < slots]
        good, slow, failed, refused = map(sum, zip(*seen, strict=True)) if seen else (0, 0, 0, 0)
        return Counts(good + slow + failed + refused, slow, failed, refused)

    def clear(self) -> None:
        """Forgets all."""
        self._slots = [[0, 0, 0, 0] for _ in range(SLOTS)]
        self._ticks = [-SLOTS - 1] * SLOTS

    def _tick(self, now: float, seconds: float) -> int:
        width = max(seconds / SLOTS, 0.001)
        if width != self._width:
            self._width = width
            self.clear()
        return int(now / width)
