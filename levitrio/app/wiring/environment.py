"""What a fleet takes from outside trio: clocks, randomness, threads, network, model processes."""

import random
import secrets
import time
from collections.abc import Callable

import attrs

from levitrio.app.wiring.models import MakeModels, worker_models
from levitrio.records.worker_threads import Offload, in_a_thread_left_behind, in_threads
from levitrio.venues.binance.websocket.network import OpenStream, open_network_stream


def _threads() -> Offload:
    return in_threads(1)


@attrs.frozen(kw_only=True)
class Environment:
    """Clocks, randomness, threads, network and models of a fleet; tests and replay replace them."""

    wall_clock: Callable[[], float] = time.time
    """Seconds since 1970."""
    chance: Callable[[], float] = random.random
    """Random numbers in [0, 1), for jitter."""
    offload: Callable[[], Offload] = _threads
    """Makes a runner of blocking work, with a thread of its own; called once for each part."""
    outbox: Callable[[], Offload] = in_a_thread_left_behind
    """The same for work that the end of the fleet does not wait for: alerts."""
    open_stream: OpenStream = open_network_stream
    """Opens connections to the venue, for feed and broker."""
    make_token: Callable[[], str] = secrets.token_hex
    """64 random characters, for the key of the built-in simulator."""
    make_models: MakeModels = worker_models
    """Makes the models' registry; a fleet without models starts no process."""
