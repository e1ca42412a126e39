"""Around the whole application: who gets in, what every answer carries, who is told."""

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
import trio
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from levitrio.http.auth import AccessDenied, AccessPolicy

SECURITY_HEADERS = {
    # Style attributes, which plotly sets, can run nothing; style elements stay refused.
    "content-security-policy": (
        "default-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data:; "
        "object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}

_TOLD = "levitrio.bug_told"

TOLD_EVERY = 10.0
"""Seconds between two lines about refused requests: a hostile page must not fill the log."""


@attrs.define(eq=False, kw_only=True)
class SecurityMiddleware:
    """An ASGI application around another one."""

    application: ASGIApp
    access: AccessPolicy
    report: Callable[[str, str], None]
    """kind and text of a line of the event log."""
    _refused: int = 0
    _told_at: float = -TOLD_EVERY

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; anything but HTTP is turned away."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        assert scope["type"] == "http", scope["type"]

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self.access.judge(scope["method"], scope["headers"])
        if refusal is None:
            try:
                await self.application(scope, receive, send_guarded)
            except Exception as error:  # noqa: BLE001  the answer is sent, or cannot be any more
                self.tell_bug(scope, error)
            return
        self._tell(refusal, scope)
        headers = {"www-authenticate": "Bearer"} if refusal.status == 401 else None
        await problem(refusal.status, refusal.error, refusal.hint, headers)(
            scope, receive, send_guarded
        )

    def tell_bug(self, scope: Scope, error: Exception) -> None:
        """One line about a bug of ours, once for each request."""
        if not scope.get(_TOLD):
            scope[_TOLD] = True
            self.report("http_failed", described(error))

    def _tell(self, refusal: AccessDenied, scope: Scope) -> None:
        self._refused += 1
        now = trio.current_time()
        if now - self._told_at >= TOLD_EVERY:
            self._told_at = now
            method = scope["method"] if str(scope["method"]).isalpha() else "?"
            self.report(
                "http_refused",
                f"{method[:16]}: {refusal.status} {refusal.error} ({self._refused} so far)",
            )


def described(error: BaseException | None) -> str:
    """What went wrong and where, in one line; empty without an error."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error is None:
        return ""
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    place = "".join(f" at {Path(f.filename).name}:{f.lineno} in {f.name}" for f in frames)
    return f"{type(error).__name__}: {error}"[:2000] + place


def problem(
    code: int,
    error: str,
    hint: str = "",
    headers: Mapping[str, str] | None = None,
    **more: object,
) -> JSONResponse:
    """An answer that says no: `ok` false, `error`, and the next thing to do if there is one."""
    document = {"ok": False, "error": error, **({"hint": hint} if hint else {}), **more}
    return JSONResponse(document, code, headers)
