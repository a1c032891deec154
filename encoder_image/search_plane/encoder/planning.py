"""Which of the waiting texts go into the next batch: a pure function of their lengths."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

WINDOW_BATCHES = 4


@dataclass(frozen=True)
class BatchLimits:
    """Limits of one batch.

    `max_tokens` counts tokens with padding (texts x longest), `max_texts` texts. `call_tokens` is what one
    call of the runtime costs besides its tokens, in tokens: about 16 on a CPU (measured with bge-small: 1 ms
    a call at 7,000 tokens/s), hundreds on a GPU. It weighs a fuller batch against less padding.
    """

    max_tokens: int = 1024
    max_texts: int = 32
    call_tokens: int = 16

    def smaller(self, times: int) -> "BatchLimits":
        """The same with batches of so many times fewer texts and tokens, at least one."""
        return replace(
            self, max_tokens=max(1, self.max_tokens // times), max_texts=max(1, self.max_texts // times)
        )


def plan_batch(lengths: Sequence[int], limits: BatchLimits) -> list[int]:
    """Indexes into `lengths` (tokens, in order of arrival, oldest first) that form the next batch.

    The oldest is always in, so that nobody starves; around it go the texts nearest in length, as many as
    give the most real tokens per token of cost, within the limits. A text longer than `max_tokens` goes
    alone. Empty only when nothing waits. Looks at no more than the oldest four batches' worth of texts.
    """
    if not lengths:
        return []
    window = min(len(lengths), WINDOW_BATCHES * limits.max_texts)
    order = sorted(range(window), key=lengths.__getitem__)
    summed = [0, *accumulate(lengths[index] for index in order)]
    head = order.index(0)
    best, best_yield = (head, head + 1), 0.0
    for end in range(head + 1, window + 1):
        longest = lengths[order[end - 1]]
        room = min(limits.max_texts, limits.max_tokens // max(longest, 1))
        last_yield = 0.0
        for start in range(head, max(end - room, 0) - 1, -1):
            real = summed[end] - summed[start]
            this_yield = real / (longest * (end - start) + limits.call_tokens)
            # Ever shorter texts: once one of them costs more padding than it brings, so does each after it.
            if this_yield < last_yield:
                break
            last_yield = this_yield
            if this_yield > best_yield:
                best, best_yield = (start, end), this_yield
    return order[slice(*best)]
