"""The console in the browser: plain files, served as they are, that ask the HTTP contract and nothing else.

Nothing is built and nothing is loaded from elsewhere: the policy that goes with each file allows scripts, styles and requests
of this service alone. The files hold no data, so they need no key; all they show comes from routes that do.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from starlette.responses import Response

from serving.refusal import Refusal

PAGE = "index.html"
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",  # a new version is seen at once
}


def console_file(name: str) -> Response:
    """Give one file of the console. Raises Refusal (404): there is none of this name."""
    found = console_files().get(name)
    if found is None:
        raise Refusal.plain(404)
    return Response(found, headers={**HEADERS, "content-type": TYPES[Path(name).suffix]})


@cache
def console_files() -> dict[str, bytes]:
    """Give all files by name; what is not here cannot be asked for, whatever a path holds."""
    folder = Path(__file__).parent / "console"
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in TYPES}
