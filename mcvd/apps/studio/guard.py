"""Who is answered: looks at every request before Gradio does."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import ExitStack
from typing import Any

from mcvd.apps.studio.storage import Storage, StorageFullError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# The page asks this server alone: no fonts, scripts or statistics of others, whatever stands in it.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; frame-ancestors 'none'; form-action 'self'; base-uri 'self'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]
_STARTUP = "/gradio_api/startup-events"  # Gradio asks its own server for it when it begins
_ROOM_OF_FORM = 1 << 16  # bytes of an upload that are not of the file


def is_this_machine(host: str) -> bool:
    """Whether nobody from outside reaches a server that listens on this address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """ASGI middleware that answers nobody but visitors of the page.

    * A request for another host than ours is refused: a foreign name that points here is a trick (DNS rebinding).
    * A request that a page of another site makes is refused, unless it only opens ours.
    * Where others can reach the page, every request needs the password.
    * Uploads are refused when there is no room for them.

    Args:
        app: what is guarded.
        storage: where uploads go.
        names: under which the page is reached; where there is a password, any address too.
        password: None where nobody else can reach the page.
        max_upload_bytes: of a file.
    """

    def __init__(
        self, app: Any, storage: Storage, names: Iterable[str], password: str | None = None, max_upload_bytes: int = 0
    ):
        self._app, self._storage, self._password = app, storage, password
        self._names = {name.strip("[]").lower() for name in names}
        self._max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        refusal = self._refusal(scope, headers)
        with ExitStack() as held:
            if refusal is None and scope.get("method") == "POST" and scope["path"].rstrip("/").endswith("/upload"):
                try:
                    self._storage.make_home()
                    held.enter_context(self._storage.reserved(self._upload_bytes(headers)))
                except StorageFullError as error:
                    refusal = 413, str(error)
            if refusal is None:
                return await self._app(scope, receive, send_with_headers)
        await _answer(scope, send_with_headers, *refusal)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            return 421, f"mcvd studio does not answer for the host {host!r}: open the address that it printed"
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        reads = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if origin is not None and origin.partition("://")[2] != host:
            return 403, "mcvd studio takes no requests from pages of other sites"
        if site not in ("none", "same-origin") and not (reads and headers.get("sec-fetch-mode") == "navigate"):
            return 403, "mcvd studio takes no requests from pages of other sites"
        if self._password is not None and scope["path"] != _STARTUP and not self._knows_password(headers):
            return 401, "mcvd studio needs the password that it printed when it was started (any user name)"
        return None

    def _is_ours(self, host: str) -> bool:
        name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
        if name.lower() in self._names:
            return True
        return self._password is not None and _is_address(name)

    def _knows_password(self, headers: dict[str, str]) -> bool:
        kind, _, encoded = headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True).partition(b":")[2]
        except binascii.Error:
            return False
        return kind.lower() == "basic" and secrets.compare_digest(given, (self._password or "").encode())

    def _upload_bytes(self, headers: dict[str, str]) -> int:
        """How many an upload will have; one that does not say may have as many as a file may."""
        length = headers.get("content-length", "")
        return int(length) if length.isdigit() else self._max_upload_bytes + _ROOM_OF_FORM


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _answer(scope: Scope, send: Send, status: int, text: str) -> None:
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close", "code": 1008})
    body = text.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="mcvd studio", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
