"""One gathering for many readers."""

import trio
from trio.testing import MockClock

from levitrio.http.status_cache import MAX_AGE, StatusCache
from tests.http.fakes import make_fleet


async def test_many_readers_one_gathering(autojump_clock: MockClock) -> None:
    """A hundred at once cost one, and no document is older than a quarter of a second."""
    fleet = make_fleet()
    cache = StatusCache(fleet)
    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(cache.encoded)
    assert fleet.gathered == 1
    await trio.sleep(MAX_AGE + 0.01)
    await cache.encoded()
    assert fleet.gathered == 2


async def test_cancelled_gathering_leaves_the_old_document(autojump_clock: MockClock) -> None:
    """A reader that leaves in the middle costs the others nothing."""
    fleet = make_fleet()
    cache = StatusCache(fleet)
    before = await cache.document()
    await trio.sleep(1)
    with trio.CancelScope() as scope:
        scope.cancel()
        await cache.document()
    assert cache._document is before
    assert await cache.document() is not before
