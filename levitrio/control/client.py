"""Talking to a fleet: the standard library alone, blocking, every wait bounded.

Cron runs this each minute, so it imports little: no trio, attrs, msgspec, typing or pathlib.
Nothing is sent before the place and the process at the other end were found to be ours.
"""

# The C half of `socket`: the Python half brings selectors and enums, a third of our whole run.
import _socket as socket
import errno
import json
import os
import struct
import sys
import time
from collections.abc import Iterator, Mapping

from levitrio.control import error_codes, paths
from levitrio.errors import ControlError, FleetUnreachable, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

TIMEOUT = 5.0
"""Seconds a fleet has for an answer; its loop is late by milliseconds, or blocked."""
PROBE = 1.0
"""Seconds one of several fleets has to show that it runs."""
_START = "levi run fleet.toml"
_URGENT_PAUSE = 0.05


def find_socket(socket_path: str | None = None, fleet: str | None = None) -> str:
    """The socket that is meant: what was named, LEVI_SOCKET, or that of the only fleet.

    Raises:
        UsageError: several fleets run and none was named; the path or the name cannot be one.
        FleetUnreachable: none runs.
    """
    if socket_path is None:
        if fleet is not None:
            return paths.default_socket(fleet)
        socket_path = os.environ.get("LEVI_SOCKET") or _only_running()
    paths.check_length(socket_path)
    if not socket_path.startswith("/"):
        socket_path = f"{os.getcwd()}/{socket_path}"  # noqa: PTH109  pathlib costs 10 ms
    return socket_path


def _only_running() -> str:
    directory = paths.run_directory()
    try:
        paths.check_directory(directory)
        with os.scandir(directory) as entries:
            names = sorted(entry.name[:-5] for entry in entries if entry.name.endswith(".sock"))
    except FileNotFoundError:
        names = []
    except OSError as error:
        raise FleetUnreachable(f"cannot look into {directory}: {error.strerror}") from None
    found = [paths.default_socket(name) for name in names]
    if len(found) > 1:  # what a killed run left behind does not count
        found = [path for path in found if _is_alive(path)]
    if not found:
        raise FleetUnreachable(f"no fleet is running (none in {directory})", _START)
    if len(found) > 1:
        running = ", ".join(name for name in names if paths.default_socket(name) in found)
        raise UsageError(f"several fleets are running: {running}; choose one with --fleet NAME")
    return found[0]


def _is_alive(path: str) -> bool:
    try:
        _connect(path, PROBE).close()
    except TimeoutError:
        return True  # it listens, and is too busy to accept
    except OSError:
        return False
    return True


def _connect(path: str, timeout: float) -> socket.socket:
    """Connected, blocking. Raises TimeoutError when nobody accepts within `timeout` seconds.

    The kernel keeps the time: with Python's, a full queue of newcomers is an error at once.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        seconds, rest = divmod(max(timeout, 0.001), 1)  # none at all would be for ever
        limit = struct.pack("ll", int(seconds), int(rest * 1e6))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        connection.connect(path)
    except BlockingIOError:
        connection.close()
        raise TimeoutError from None
    except OSError:
        connection.close()
        raise
    return connection


class FleetRefused(ControlError):
    """The fleet said no; `data` is what it said beside code, message and hint."""

    def __init__(self, code: int, message: str, hint: str, data: "Mapping[str, Any]") -> None:
        super().__init__(code, message, hint)
        self.data = data


class ControlClient:
    """One connection to a fleet; close it, or use it as a context manager.

    Args:
        path: the socket; see `find_socket`.
        timeout: seconds for connecting, and for each answer.

    Raises:
        FleetUnreachable: nobody answers there.
        UsageError: the directory or the process behind the socket is not ours.
    """

    def __init__(self, path: str, timeout: float = TIMEOUT) -> None:
        self._path = path
        self._timeout = timeout
        self._buffer = bytearray()
        self._last_id = 0
        self._socket = self._connect()

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; what was asked goes on."""
        self._socket.close()

    def call(
        self, method: str, params: Mapping[str, object] | None = None, extra: float = 0.0
    ) -> "Any":
        """Ask, and wait for the answer; `extra` seconds longer when the fleet was told to wait.

        A fleet that is full is asked again until the timeout has passed.

        Raises:
            ControlError: the fleet refused; nothing was changed.
            FleetUnreachable: no answer. Whether a command was carried out is not known.
        """
        deadline = time.monotonic() + self._timeout + extra
        while True:
            try:
                return self._call_once(method, params, deadline)
            except ControlError as error:
                if error.code != error_codes.BUSY or time.monotonic() + _URGENT_PAUSE > deadline:
                    raise
            time.sleep(_URGENT_PAUSE)
            self._socket.close()
            self._buffer.clear()
            self._socket = self._connect()

    def notifications(self, timeout: float | None = None) -> "Iterator[tuple[str, Any]]":
        """Method and params of what the fleet sends by itself, until it hangs up.

        `timeout` seconds of silence end it too; None waits for ever.
        """
        while True:
            deadline = None if timeout is None else time.monotonic() + timeout
            try:
                message = self._read_message(deadline)
            except FleetUnreachable:
                return
            if "method" in message:
                yield str(message["method"]), message.get("params")

    def _call_once(
        self, method: str, params: Mapping[str, object] | None, deadline: float
    ) -> "Any":
        self._last_id += 1
        request = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params or {}}
        line = json.dumps(request).encode("ascii") + b"\n"
        if len(line) > 64 * 1024:
            raise ControlError(
                error_codes.TOO_LARGE, "the request is too large", "use a glob or --all"
            )
        try:
            self._socket.settimeout(self._timeout)
            self._socket.sendall(line)
        except OSError as error:
            if not isinstance(error, BrokenPipeError | ConnectionResetError):
                raise self._unreachable(error) from None
            # Turned away before we spoke: why is in what it sent.
        while True:
            message = self._read_message(deadline)
            if "method" in message:
                continue
            if "error" in message:
                raise _to_error(message["error"])
            if message.get("id") != self._last_id or "result" not in message:
                raise ControlError(error_codes.INTERNAL_ERROR, "the fleet answered something else")
            return message["result"]

    def _connect(self) -> socket.socket:
        directory = self._path.rpartition("/")[0] or "/"
        try:
            paths.check_directory(directory)
        except OSError as error:
            raise self._unreachable(error) from None
        try:
            connection = _connect(self._path, self._timeout)
        except OSError as error:
            raise self._unreachable(error) from None
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        uid = int.from_bytes(credentials[4:8], sys.byteorder)
        if uid != os.geteuid():
            connection.close()
            raise UsageError(
                f"expected a fleet of uid {os.geteuid()}, {self._path} is served by uid {uid}"
            )
        return connection

    def _read_message(self, deadline: float | None) -> "dict[str, Any]":
        while True:
            end = self._buffer.find(b"\n")
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                return _to_message(line)
            if len(self._buffer) > error_codes.MAX_RESPONSE + 4096:
                raise ControlError(
                    error_codes.TOO_LARGE, "the fleet sent an answer that is too large"
                )
            try:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise TimeoutError
                self._socket.settimeout(left)
                data = self._socket.recv(256 * 1024)
            except OSError as error:
                raise self._unreachable(error) from None
            if not data:
                raise FleetUnreachable(f"the fleet at {self._path} hung up", _START)
            self._buffer += data

    def _unreachable(self, error: OSError) -> FleetUnreachable:
        if isinstance(error, TimeoutError):
            text = f"the fleet at {self._path} does not answer within {self._timeout:g} s"
            return FleetUnreachable(text, "levi ctl status --timeout 30")
        if isinstance(error, FileNotFoundError | ConnectionRefusedError):
            return FleetUnreachable(f"no fleet answers at {self._path}", _START)
        name = errno.errorcode.get(error.errno or 0, type(error).__name__)
        return FleetUnreachable(f"no fleet answers at {self._path} ({name})", _START)


def _to_message(line: bytes) -> "dict[str, Any]":
    try:
        message = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise ControlError(
            error_codes.INTERNAL_ERROR, "the fleet sent something that is not JSON-RPC"
        )
    return message


def _to_error(error: object) -> ControlError:
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        return ControlError(error_codes.INTERNAL_ERROR, "the fleet sent an error without a code")
    data = error.get("data")
    data = data if isinstance(data, dict) else {}
    return FleetRefused(error["code"], str(error.get("message")), str(data.get("hint", "")), data)
