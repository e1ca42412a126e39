"""What a fleet takes from outside the trio run: clocks, randomness, threads, the network."""

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
    """What a fleet takes from outside the trio run."""

    wall_clock: Callable[[], float] = time.time
    """Seconds since 1970."""
    chance: Callable[[], float] = random.random
    """Random numbers in [0, 1), for jitter."""
    offload: Callable[[], Offload] = _threads
    """Makes a place where blocking work runs; asked once for each part, which has its own."""
    outbox: Callable[[], Offload] = in_a_thread_left_behind
    """The same for work that the end of the fleet does not wait for."""
    open_stream: OpenStream = open_network_stream
    """How the feed reaches its venue."""
    make_token: Callable[[], str] = secrets.token_hex
    """64 random characters, for the key to our own simulator."""
    make_models: MakeModels = worker_models
    """Where models run; no process is started for a fleet without any."""
