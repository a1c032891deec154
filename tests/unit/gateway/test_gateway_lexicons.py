"""Lexicons are shared by the releases of one catalogue. What they learn is asked of a real one, tests/integration."""

import asyncio

import pytest
from search_plane.gateway.lexicons import Lexicons
from search_plane.release.record import CatalogueTarget

# Nobody listens there: nothing is ever learnt, and nobody waits for that.
HERE = CatalogueTarget(url="http://127.0.0.1:9", index="products")
THERE = CatalogueTarget(url="http://127.0.0.1:9", index="others")


def test_a_catalogue_has_one_watch_from_its_first_holder_to_its_last() -> None:
    async def story() -> None:
        lexicons = Lexicons()
        first = lexicons.hold(HERE)
        assert lexicons.hold(HERE) is first
        assert lexicons.hold(THERE) is not first
        assert len(lexicons) == 2
        await lexicons.let_go(HERE)
        # As after a switch: the other release still holds it.
        assert lexicons.hold(HERE) is first
        for target in (HERE, HERE, THERE):
            await lexicons.let_go(target)
        assert len(lexicons) == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert lexicons.hold(HERE) is not first
        await lexicons.let_go(HERE)

    asyncio.run(story())


def test_an_address_that_is_none_holds_nothing() -> None:
    async def story() -> None:
        lexicons = Lexicons()
        with pytest.raises(ValueError, match="URL"):
            lexicons.hold(CatalogueTarget(url="elasticsearch", index="products"))
        assert len(lexicons) == 0

    asyncio.run(story())
