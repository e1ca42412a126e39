"""A venue in a process of its own that sends its frames as fast as they are taken.

`python -m benchmarks.venue SYMBOLS FRAMES [CERTIFICATE]` prints its port, answers the first
message of each client, sends it everything at once, and waits until it leaves.
"""

import sys

from benchmarks.flood import listen
from benchmarks.frames import generated, symbols, websocket_bytes


def main(symbol_count: int, frame_count: int, certificate: str | None) -> None:
    """Serve for ever."""
    frames = generated(symbols(symbol_count), frame_count)
    listen([websocket_bytes(frames)], certificate)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
