"""A folder served over HTTP as an origin or an object store serves it: files, ranges of bytes, 404 for the rest."""

import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def served(root, breaks=()):
    """Serves what is below ``root``; yields its address and the list of (method, path, range) asked for.

    The first answers end after as many bytes as ``breaks`` tells, as when a connection breaks.
    """
    asked, breaks = [], list(breaks)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            asked.append((self.command, self.path, self.headers.get("Range")))
            file = root / self.path.split("?")[0].lstrip("/")
            content = file.read_bytes() if file.is_file() else b""
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            first, last = (int(wanted[1]), int(wanted[2] or len(content) - 1)) if wanted else (0, len(content) - 1)
            body = content[first : last + 1]
            self.send_response(404 if not file.is_file() else 206 if wanted else 200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"0"')
            self.send_header("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
            if wanted:
                self.send_header("Content-Range", f"bytes {first}-{first + len(body) - 1}/{len(content)}")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body[: breaks[0]] if breaks else body)
                self.close_connection = bool(breaks)
                del breaks[:1]

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
