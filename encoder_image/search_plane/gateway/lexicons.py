"""The lexicons of the catalogues in use: releases of one catalogue share what is learnt of it."""

import asyncio
from dataclasses import dataclass

from search_plane.gateway.lexicon import LexiconWatch
from search_plane.release.record import CatalogueTarget
from search_plane.stores.catalogue import CatalogueConnection


@dataclass(slots=True)
class _Held:
    watch: LexiconWatch
    connection: CatalogueConnection
    task: asyncio.Task[None]
    holders: int = 0


class Lexicons:
    """A watch for each catalogue, from its first holder to its last: a switch of releases unlearns nothing."""

    def __init__(self) -> None:
        self._held: dict[CatalogueTarget, _Held] = {}

    def hold(self, target: CatalogueTarget) -> LexiconWatch:
        """The catalogue's watch, which learns until it was let go as often as it was held. Needs a running loop."""
        held = self._held.get(target)
        if held is None:
            connection = CatalogueConnection(target, connections=1)
            watch = LexiconWatch(connection)
            held = self._held[target] = _Held(watch, connection, asyncio.create_task(watch.run()))
        held.holders += 1
        return held.watch

    async def let_go(self, target: CatalogueTarget) -> None:
        """One holder less; the last one ends the learning and closes the connection."""
        held = self._held[target]
        held.holders -= 1
        if held.holders:
            return
        del self._held[target]
        held.task.cancel()
        await asyncio.gather(held.task, return_exceptions=True)
        await held.connection.close()

    def __len__(self) -> int:
        return len(self._held)
