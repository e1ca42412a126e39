"""`levi simulator`: runs the built-in exchange alone, for any Binance client."""

import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import trio

from levitrio.errors import UsageError
from levitrio.venues.simulator.exchange.accounts import ApiKey
from levitrio.venues.simulator.server.simulator import Simulator


def run_simulator(
    *,
    port: int,
    recordings: Sequence[Path],
    seed: int,
    speed: float,
    api_key: str = "",
    api_secret: str = "",
) -> int:
    """Serve until SIGINT or SIGTERM; prints the addresses.

    Args:
        port: TCP port on the loopback interface.
        recordings: Files to play; none generates a market.
        seed: Seed of the generated market.
        speed: Market seconds per real second.
        api_key: With `api_secret`, an account that may trade.
        api_secret: HMAC secret, or Ed25519 public key as PEM.

    Returns:
        The exit code, 0.

    Raises:
        UsageError: The port is taken, the speed not positive, a recording unreadable, or only
            one of key and secret given.
    """
    if bool(api_key) != bool(api_secret):
        raise UsageError("--api-key and --api-secret: expected both or neither")
    simulator = Simulator(
        seed=seed,
        speed=speed,
        recordings=recordings,
        port=port,
        wall_clock=time.time,
        on_event=_report,
        keys=(ApiKey.of(api_key, api_secret),) if api_key else (),
    )
    trio.run(_serve, simulator)
    return 0


async def _serve(simulator: Simulator) -> None:
    # Ctrl-C inside a nursery would come out as an exception group; so wait for the signal.
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            url = await nursery.start(simulator.run)
            sys.stdout.write(
                f"simulator: {url}/ws and {url}/stream\n"
                f"orders:    {url}/ws-api/v3 and {simulator.http_url}/api/v3\n"
            )
            sys.stdout.flush()
            async for _ in signals:
                nursery.cancel_scope.cancel()


def _report(kind: str, text: str) -> None:
    sys.stderr.write(f"{kind}: {text}\n")
