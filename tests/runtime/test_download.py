"""Files that are fetched once and verified."""

import hashlib
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mcvd.runtime.download import Download, fetch, has_digest

CONTENT = bytes(range(256)) * 64
GOOD = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Mirror(BaseHTTPRequestHandler):
    """/good serves the content, also in ranges; others are faulty in the way they are named after."""

    def __init__(self, requests, *args):
        self.requests = requests
        super().__init__(*args)

    def do_GET(self):
        asked = self.headers.get("Range")
        self.requests.append((self.path, asked))
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if self.path == "/gone":
            return self.send_error(404)
        if self.path == "/whole":  # knows no ranges
            return self.answer(200, CONTENT, {})
        if self.path == "/damaged":
            return self.answer(200, CONTENT[::-1], {})
        if self.path == "/page":
            return self.answer(200, b"<html>please log in</html>", {})
        if start >= len(CONTENT):
            return self.send_error(416)
        body = CONTENT[start:]
        span = {"Content-Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"}
        self.answer(206 if asked else 200, body, span, send=body[:5000] if self.path == "/breaks" else body)

    def answer(self, status, body, headers, send=None):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body if send is None else send)

    def log_message(self, *_):
        pass


@pytest.fixture
def mirror():
    requests = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Mirror, requests))
    threading.Thread(target=partial(server.serve_forever, poll_interval=0.02), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    server.server_close()


def published(mirror, *pages, size=len(CONTENT), digest=GOOD):
    return Download(tuple(f"{mirror}/{page}" for page in pages), size, digest, "net.pt")


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_file_comes_from_the_first_mirror_that_has_it(mirror, tmp_path, size):
    address, requests = mirror
    path = fetch(published(address, "gone", "damaged", "good", "whole", size=size), tmp_path / "cache")
    assert path.read_bytes() == CONTENT
    assert [page for page, _ in requests] == ["/gone", "/damaged", "/good"]
    assert not path.with_name("net.pt.part").exists()
    assert fetch(published(address, "gone"), tmp_path / "cache") == path, "what is there is not fetched again"


@pytest.mark.parametrize("next_page", ["good", "whole"])
@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_broken_download_is_continued(mirror, tmp_path, next_page, size):
    address, requests = mirror
    with pytest.raises(FileNotFoundError, match=r"broke after 5,000 of 16,384 bytes"):
        fetch(published(address, "breaks", size=size), tmp_path)
    assert (tmp_path / "net.pt.part").stat().st_size == 5000 and not (tmp_path / "net.pt").exists()
    assert fetch(published(address, next_page, size=size), tmp_path).read_bytes() == CONTENT
    assert requests[-1] == (f"/{next_page}", "bytes=5000-")


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_download_that_only_lacks_its_name_is_completed(mirror, tmp_path, size):
    (tmp_path / "net.pt.part").write_bytes(CONTENT)
    assert fetch(published(mirror[0], "good", size=size), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("page", "message"), [("page", "it holds 26 bytes, not 16,384"), ("damaged", "is not what was published")]
)
def test_wrong_file_is_told_and_leaves_nothing(mirror, tmp_path, page, message):
    with pytest.raises(FileNotFoundError, match=message):
        fetch(published(mirror[0], page), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {"net.pt.lock"}


def test_damage_in_an_unfinished_download_does_not_stay(mirror, tmp_path):
    (tmp_path / "net.pt.part").write_bytes(b"x" * 100)
    assert fetch(published(mirror[0], "good", "good"), tmp_path).read_bytes() == CONTENT


def test_processes_that_ask_at_once_download_once(mirror, tmp_path):
    address, requests = mirror
    asking = [threading.Thread(target=fetch, args=(published(address, "good"), tmp_path)) for _ in range(4)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert requests == [("/good", None)]


def test_digest_of_git_is_that_of_git_hash_object(tmp_path):
    (tmp_path / "hello").write_bytes(b"hello\n")
    assert has_digest(tmp_path / "hello", "git:ce01")
    assert not has_digest(tmp_path / "hello", "git:01ce")
    assert has_digest(tmp_path / "hello", "git:ce013625030ba8dba906f756967f9e9ca394464a")
