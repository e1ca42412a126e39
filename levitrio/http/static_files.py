"""Serves the files of the page, and plotly's script from the installed package."""

import gzip
import hashlib
import json
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import trio
from starlette.requests import Request
from starlette.responses import Response

from levitrio.http.middleware import problem

PAGE = Path(__file__).with_name("page")

TYPES = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "main.js": "text/javascript; charset=utf-8",
    "table.js": "text/javascript; charset=utf-8",
    "detail.js": "text/javascript; charset=utf-8",
    "actions.js": "text/javascript; charset=utf-8",
    "charts.js": "text/javascript; charset=utf-8",
    "format.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""Content type of each file; a requested name is looked up here, never on the disk."""


@cache
def _read(name: str) -> tuple[bytes, str]:
    content = (PAGE / name).read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'


async def page(request: Request) -> Response:
    """GET /page/{name}; 304 without a body for a browser that has the file."""
    name = request.path_params.get("name", "index.html")
    if name not in TYPES:
        return problem(404, "no such file")
    content, tag = await trio.to_thread.run_sync(_read, name)
    headers = {"etag": tag, "cache-control": "no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=None, headers={**headers, "content-type": TYPES[name]})


@cache
def plotly_script() -> Path | None:
    """Path of the script in the installed plotly; None without the extra `charts`.

    plotly is not imported, because that takes longer than starting the fleet.
    """
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).with_name("package_data") / "plotly.min.js"
    return path if path.is_file() else None


@cache
def _packed() -> bytes:
    """The script, compressed: it has five megabytes."""
    path = plotly_script()
    if path is None:
        return gzip.compress(b"", mtime=0)
    script = path.read_bytes()
    # Parts of it add style elements unless an element with their id exists. The page's policy
    # refuses style elements with an error in the console, and these are for maps, which the page
    # does not draw. So the served script first adds elements with those ids.
    ids = sorted({match.decode() for match in _STYLE_ID.findall(script)})
    return gzip.compress(_PLACEHOLDERS % json.dumps(ids).encode() + script, mtime=0)


_STYLE_ID = re.compile(rb'getElementById\("([0-9a-f]{64})"\)')
_PLACEHOLDERS = b"""for (const id of %s) {
  const placeholder = document.createElement("span");
  placeholder.id = id;
  placeholder.hidden = true;
  document.body.append(placeholder);
}
"""


async def plotly(request: Request) -> Response:
    """GET /charts/plotly.js; empty without the extra `charts`, and the page draws with SVG."""
    packed = await trio.to_thread.run_sync(_packed)
    # It changes only with the package; a phone should fetch it once.
    headers = {"cache-control": "private, max-age=86400", "vary": "accept-encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
    else:
        packed = await trio.to_thread.run_sync(gzip.decompress, packed)
    return Response(packed, media_type="text/javascript", headers=headers)
