"""A blocking client of the control socket; every wait has a deadline.

Cron runs this each minute, so it imports only the standard library, and of that neither typing
nor pathlib. It sends nothing until it has checked that the socket's directory and the process
at the other end belong to this user.
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
"""Seconds to wait for an answer; a loop that is later than that is blocked."""
PROBE = 1.0
"""Seconds to wait for each socket when several are found, to see which fleets run."""
_START = "levi run fleet.toml"
_URGENT_PAUSE = 0.05


def find_socket(socket_path: str | None = None, fleet: str | None = None) -> str:
    """The socket to connect to: the given one, LEVI_SOCKET, or that of the only running fleet.

    Raises:
        UsageError: several fleets run and none was named, or the path or name is invalid.
        FleetUnreachable: no fleet runs.
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
    if len(found) > 1:  # a killed run leaves its socket behind
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
        return True  # it listens, but is too busy to accept
    except OSError:
        return False
    return True


def _connect(path: str, timeout: float) -> socket.socket:
    """A connected, blocking socket.

    The kernel keeps the time: with a timeout of Python's, connecting to a socket whose backlog
    is full fails at once.

    Raises:
        TimeoutError: the fleet does not accept within `timeout` seconds.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        seconds, rest = divmod(max(timeout, 0.001), 1)  # zero would wait for ever
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
    """The fleet refused a request; `data` is the `data` member of its error."""

    def __init__(self, code: int, message: str, hint: str, data: "Mapping[str, Any]") -> None:
        super().__init__(code, message, hint)
        self.data = data


class ControlClient:
    """One connection to a fleet; close it, or use it as a context manager.

    Args:
        path: The socket; see `find_socket`.
        timeout: Seconds for connecting, and for each answer.

    Raises:
        FleetUnreachable: No fleet answers there.
        UsageError: The socket's directory or its process belongs to another user.
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
        """Close the connection; commands that were sent go on."""
        self._socket.close()

    def call(
        self, method: str, params: Mapping[str, object] | None = None, extra: float = 0.0
    ) -> "Any":
        """Call a method and wait for its result.

        A fleet at its connection limit is asked again until the timeout has passed.

        Args:
            method: A method of the control socket.
            params: Its params by name.
            extra: Seconds to wait beyond the timeout, when the fleet itself is asked to wait.

        Raises:
            ControlError: The fleet refused; nothing was changed.
            FleetUnreachable: No answer came. The command may have been carried out.
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
        """Yield method and params of each notification, until the fleet closes the connection.

        Also ends after `timeout` seconds of silence; None waits for ever.
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
            # The fleet closed before we sent; its reason is in what it sent.
        while True:
            message = self._read_message(deadline)
            if "method" in message:
                continue  # a notification between call and answer
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
        # struct ucred: pid, uid, gid, 4 bytes each.
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
            # 4096 for what JSON-RPC puts around the result.
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
                raise FleetUnreachable(f"the fleet at {self._path} closed the connection", _START)
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
