"""Who may ask the page's server for what: the checks that every request passes, before anything looks at it.

The page is for one person on this machine. Its address holds a random token; a request is answered only with it, for
the host that it was sent to, and from the page itself. Knows no network and no session.
"""

import secrets
import socket

import pydantic
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount

from mam_keras.errors import UserError
from mam_keras.settings import Section

LARGEST = 2**18  # bytes of a body
LOOPBACK = ("127.0.0.1", "::1", "localhost")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """An ASGI application before another one: refuses what does not come from the page.

    Args:
        app: what answers the requests that pass.
        token: that the path must begin with.
        hosts: values of the header Host that name this server; None for any, where it was exposed on purpose.
    """

    def __init__(self, app, token, hosts):
        self.app, self.token, self.hosts = app, token, hosts

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        refused = self._refused(scope, headers)
        if refused is not None:
            await _Answer(refused)(scope, receive, send)
            return

        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_encoded(HEADERS)]
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _refused(self, scope, headers):
        """The status of a refusal; None for a request of the page's own."""
        host, origin = headers.get(b"host", ""), headers.get(b"origin")
        if self.hosts is not None and host not in self.hosts:
            return 421
        first = scope["path"].removeprefix("/").partition("/")[0]
        if not secrets.compare_digest(first.encode("utf-8", "surrogatepass"), self.token.encode()):
            return 404
        if origin is not None and origin != f"http://{host}":
            return 403
        if headers.get(b"sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403
        if scope["method"] == "POST" and headers.get(b"content-type", "").split(";")[0] != "application/json":
            return 415
        return None


class _Answer(PlainTextResponse):
    def __init__(self, status):
        super().__init__("refused\n", status, HEADERS)


def guarded(routes, token, hosts) -> Guard:
    """The whole application: routes under /TOKEN/, every mistake one line of JSON."""
    handlers = {HTTPException: _told, UserError: _user_error}
    return Guard(Starlette(routes=[Mount(f"/{token}", routes=routes)], exception_handlers=handlers), token, hosts)


async def body(request, form: type[Section]) -> Section:
    """The JSON of a request, checked. Raises `HTTPException` for one that is too large, or is not that."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST:
            raise HTTPException(413, f"expected at most {LARGEST} bytes")
    try:
        return form.model_validate_json(content)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise HTTPException(422, f"{place}: {first['msg']}"[:300]) from None


def listening(host, port, expose) -> socket.socket:
    """The socket to serve on. Raises `UserError` for an address that other machines reach, unless `expose`."""
    if host not in LOOPBACK and not expose:
        raise UserError(
            f"--host: expected {LOOPBACK[0]}: whoever reaches another address could see and change what the page shows "
            f"(--expose allows it; nothing is encrypted). Received: {host!r}"
        )
    if not 0 <= port < 2**16:
        raise UserError(f"--port: expected 0 to {2**16 - 1}. Received: {port}")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UserError(f"--port: expected a free port of {host}. Received: {port} ({error.strerror})") from None


def address(listener) -> str:
    """host:port as a browser writes it."""
    host, port, *_ = listener.getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _encoded(headers):
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


async def _told(_, error):
    return JSONResponse({"error": error.detail}, error.status_code)


async def _user_error(_, error):
    return JSONResponse({"error": " ".join(str(error).split())}, 422)
