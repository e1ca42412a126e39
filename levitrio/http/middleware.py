"""Middleware: access check, security headers, and reports of refusals and bugs."""

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
import trio
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from levitrio.errors import first_error
from levitrio.http.auth import AccessDenied, AccessPolicy

SECURITY_HEADERS = {
    # Style attributes, which plotly sets, cannot run code; style elements stay refused.
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

_REPORTED = "levitrio.bug_reported"

REPORT_EVERY = 10.0
"""Seconds between two events about refused requests; a hostile page must not fill the log."""


@attrs.define(eq=False, kw_only=True)
class SecurityMiddleware:
    """An ASGI application that guards another one."""

    application: ASGIApp
    access: AccessPolicy
    report: Callable[[str, str], None]
    """Adds an event, given its kind and text."""
    _refused: int = 0
    _reported_at: float = -REPORT_EVERY

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; WebSockets are refused."""
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
            except Exception as error:  # noqa: BLE001  the answer was sent, or can no longer be
                self.report_bug(scope, error)
            return
        self._report_refusal(refusal, scope)
        headers = {"www-authenticate": "Bearer"} if refusal.status == 401 else None
        await problem(refusal.status, refusal.error, refusal.hint, headers)(
            scope, receive, send_guarded
        )

    def report_bug(self, scope: Scope, error: Exception) -> None:
        """Report an exception of the application, once per request."""
        if not scope.get(_REPORTED):
            scope[_REPORTED] = True
            self.report("http_failed", described(error))

    def _report_refusal(self, refusal: AccessDenied, scope: Scope) -> None:
        self._refused += 1
        now = trio.current_time()
        if now - self._reported_at >= REPORT_EVERY:
            self._reported_at = now
            method = scope["method"] if str(scope["method"]).isalpha() else "?"
            self.report(
                "http_refused",
                f"{method[:16]}: {refusal.status} {refusal.error} ({self._refused} so far)",
            )


def described(error: BaseException | None) -> str:
    """Type, text and place of an error in one line; empty without an error."""
    if error is None:
        return ""
    error = first_error(error)
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
    """The JSON answer that refuses a request.

    Args:
        code: HTTP status.
        error: The reason.
        hint: What the client may do; left out when empty.
        headers: More headers of the answer.
        **more: More members of the document.
    """
    document = {"ok": False, "error": error, **({"hint": hint} if hint else {}), **more}
    return JSONResponse(document, code, headers)
