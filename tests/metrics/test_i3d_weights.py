import hashlib
import re
import threading
import warnings
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from mcvd.metrics import i3d_weights
from mcvd.metrics.i3d import random_i3d
from mcvd.metrics.i3d_weights import IMAGENET, STYLEGAN_V, WeightsFile, fetch, identify, load_i3d

CONTENT = bytes(range(256)) * 64
VIDEO = torch.rand(1, 3, 9, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
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
    return WeightsFile("net.pt", "a net", digest, size, tuple(f"{mirror}/{page}" for page in pages))


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
    ("page", "message"), [("page", "it holds 26 bytes, not 16,384"), ("damaged", "has not the checksum")]
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


def test_without_network_the_error_says_what_to_fetch_and_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setattr(i3d_weights, "STYLEGAN_V", replace(STYLEGAN_V, mirrors=("http://127.0.0.1:9/nothing",)))
    with pytest.raises(FileNotFoundError) as error:
        load_i3d(cache=tmp_path)
    for part in ("127.0.0.1:9", "51,235,320 bytes", "sha256:bec6519f", str(tmp_path / STYLEGAN_V.name), "--weights"):
        assert part in str(error.value)


def test_digest_of_git_is_that_of_git_hash_object(tmp_path):
    (tmp_path / "hello").write_bytes(b"hello\n")
    assert i3d_weights._has_digest(tmp_path / "hello", "git:ce013625030ba8dba906f756967f9e9ca394464a")


def test_original_kinetics_release_is_refused_even_when_trusted(tmp_path, monkeypatch):
    path = tmp_path / "i3d.pt"
    path.write_bytes(CONTENT)
    ours = replace(IMAGENET, digest=GOOD, size_bytes=len(CONTENT))
    monkeypatch.setattr(i3d_weights, "KNOWN_FILES", (STYLEGAN_V, ours))
    assert identify(path) is ours
    with pytest.raises(ValueError, match="another network than that of FVD"):
        load_i3d(path, trust=True)


class Scripted(torch.nn.Module):
    """Called as the archive of StyleGAN-V is; with other flags it gives something else."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, rescale: bool = True, resize: bool = True, return_features: bool = False):
        logits = self.net(2 * x / 255 - 1 if rescale else x)
        if resize:
            logits = logits + 1
        return logits if return_features else logits.softmax(1)


def save_archive(net, path):
    """A program as StyleGAN-V's, around a network."""
    with warnings.catch_warnings(category=Warning, action="ignore"):  # torch.jit is deprecated; tracing fixes sizes
        traced = torch.jit.trace(net, VIDEO, check_trace=False)
        torch.jit.script(Scripted(traced)).save(path)


def save_state_dict(net, path):
    """As VideoGPT's: without the counters of the batch norms."""
    torch.save({name: value for name, value in net.state_dict().items() if "num_batches" not in name}, path)


@pytest.mark.parametrize("save", [save_state_dict, save_archive])
def test_both_forms_give_the_logits_of_the_network_they_were_made_of(tmp_path, save):
    net = random_i3d(7)
    save(net, tmp_path / "weights.pt")
    loaded = load_i3d(tmp_path / "weights.pt", trust=True)
    torch.testing.assert_close(loaded(VIDEO), net(VIDEO))
    assert not loaded.training and not any(value.requires_grad for value in loaded.parameters())


def test_unknown_files_are_not_read_unless_trusted(tmp_path, monkeypatch):
    save_archive(torch.nn.Flatten(), tmp_path / "archive.pt")
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("an unknown program was loaded"))
    with pytest.raises(ValueError, match=re.escape("none of the known files of I3D weights")):
        load_i3d(tmp_path / "archive.pt")


@pytest.mark.parametrize("content", [{"weight": torch.zeros(3)}, [1, 2], random_i3d], ids=["keys", "list", "code"])
def test_what_is_no_state_dict_of_i3d_is_refused_in_one_line(tmp_path, content):
    torch.save(content, tmp_path / "state.pt")
    with pytest.raises(ValueError, match="holds no state dict of I3D") as error:
        load_i3d(tmp_path / "state.pt", trust=True)
    assert "\n" not in str(error.value)


def test_missing_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file of I3D weights"):
        load_i3d(tmp_path / "nothing.pt")
