"""The studio keeps to itself: who is answered, how much it stores, and that nothing of it is left."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from reference.tiny import pixels, tiny_model

pytest.importorskip("gradio", reason="no studio without Gradio: pip install 'mcvd[studio]'")
import httpx

from mcvd.apps.cli.studio import _ended_by_signal
from mcvd.apps.studio.clip import Clip, Limits
from mcvd.apps.studio.guard import is_this_machine
from mcvd.apps.studio.job import GenerationRequest
from mcvd.apps.studio.page import serve
from mcvd.apps.studio.service import Studio
from mcvd.apps.studio.storage import Storage, StorageFullError
from mcvd.diffusion.tasks import PREDICT
from mcvd.samplers import DDIM

HOUR = 3600
MEGABYTE = 1_000_000
OPEN = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}


@pytest.fixture(scope="module")
def model():
    net = tiny_model(past=2, current=3, future=2, channels=3)
    net.frame_rate_hz = 10.0
    return net


def served(model, *options, **words):
    studio = Studio(model, "tiny", Limits(megabytes=1), Storage(3 * MEGABYTE // 2, HOUR))
    page, url = serve(studio, *options, **words)
    return studio, page, httpx.Client(base_url=url, timeout=60)


@pytest.fixture(scope="module")
def local(model):
    studio, page, visitor = served(model, "127.0.0.1", None)
    yield studio, visitor
    page.close(verbose=False)
    studio.close()


@pytest.fixture(scope="module")
def shared(model):
    studio, page, visitor = served(model, "0.0.0.0", None, "open sesame", ["studio.example.org"])
    yield visitor
    page.close(verbose=False)
    studio.close()


@pytest.fixture
def visitor(local):
    return local[1]


def upload(visitor, size=1000, **options):
    return visitor.post("/gradio_api/upload", files={"files": ("a.mp4", os.urandom(size))}, **options)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "10.0.0.1", ""])
def test_a_foreign_host_is_not_answered(host, visitor):
    assert visitor.get("/", headers={"host": host}).status_code == 421
    assert upload(visitor, headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1", "[::1]:80", "LOCALHOST:1"])
def test_this_machine_is_answered_under_its_names(host, visitor):
    assert visitor.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        OPEN,
    ],
)
def test_a_form_of_another_site_uploads_nothing(headers, local):
    studio, visitor = local
    before = studio.storage.used_bytes()
    assert upload(visitor, headers=headers).status_code == 403
    assert visitor.post("/gradio_api/queue/join", json={}, headers=headers).status_code == 403
    assert studio.storage.used_bytes() == before


def test_a_link_on_another_site_may_open_the_page_but_read_nothing(visitor):
    assert visitor.get("/", headers=OPEN).status_code == 200
    assert visitor.get("/config", headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}).status_code == 403


def test_the_page_may_ask_this_server_alone(visitor):
    answer = visitor.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "http" not in policy
    assert not re.findall(r"<(?:link|script|img|iframe)[^>]*https?://", answer.text)


def test_uploads_share_a_quota_and_old_ones_are_deleted(local):
    studio, visitor = local
    origin = {"origin": str(visitor.base_url).rstrip("/")}
    assert upload(visitor, 900_000, headers=origin).status_code == 200
    refused = upload(visitor, 900_000)
    assert refused.status_code == 413 and "try again later" in refused.text
    endless = visitor.post("/gradio_api/upload", content=iter([b"x" * 100] * 3), headers={"content-type": "text/plain"})
    assert endless.status_code == 413  # does not say how long it is
    assert studio.storage.used_bytes() < 3 * MEGABYTE // 2
    studio.storage.lifetime_seconds = 0
    studio.storage.sweep()
    studio.storage.lifetime_seconds = HOUR
    assert studio.storage.used_bytes() == 0
    assert upload(visitor, 900_000).status_code == 200


def test_a_vanished_folder_is_made_anew(local):
    import shutil

    studio, visitor = local
    shutil.rmtree(studio.storage.home)
    assert upload(visitor).status_code == 200
    assert studio.storage.home.stat().st_mode & 0o77 == 0
    shutil.rmtree(studio.storage.home)
    assert studio.storage.new_folder().is_dir()


def test_who_can_be_reached_from_outside_asks_for_a_password(model, shared):
    assert shared.get("/").status_code == 401
    assert shared.get("/", auth=("me", "wrong")).status_code == 401
    assert shared.get("/", headers={"authorization": "Basic %%%"}).status_code == 401
    for path in ("/config", "/gradio_api/info", "/gradio_api/file=/etc/hostname", "/theme.css"):
        assert shared.get(path).status_code == 401
    assert upload(shared).status_code == 401
    assert shared.get("/", auth=("me", "open sesame")).status_code == 200
    assert upload(shared, auth=("", "open sesame")).status_code == 200
    for host, status in (("192.168.1.5:7860", 200), ("studio.example.org", 200), ("evil.example", 421)):
        assert shared.get("/", headers={"host": host}, auth=("me", "open sesame")).status_code == status
    with pytest.raises(ValueError, match="a password is needed"):
        serve(Studio(model, "tiny"), "0.0.0.0", None)


def test_what_counts_as_this_machine():
    assert all(map(is_this_machine, ("127.0.0.1", "127.9.9.9", "localhost", "::1", "[::1]")))
    assert not any(map(is_this_machine, ("0.0.0.0", "::", "192.168.1.5", "example.org", "")))


def test_a_result_beyond_the_quota_is_refused_and_deleted(model):
    clip, request = Clip("greys", pixels(20, 3, 16, 16), ""), GenerationRequest(PREDICT, DDIM(num_steps=1))
    studio = Studio(model, "tiny", storage=Storage(1000, HOUR))
    with pytest.raises(StorageFullError, match="try again later"):
        list(studio.generate("me", clip, range(4, 6), 3, request, lambda part: None))
    assert studio.storage.used_bytes() == 0
    (studio.storage.home / "full").write_bytes(bytes(1000))
    asked = []
    with pytest.raises(StorageFullError):
        list(studio.generate("me", clip, range(4, 6), 3, request, asked.append))
    assert not asked  # before the network is called
    studio.close()
    assert not studio.storage.home.exists()
    with pytest.raises(StorageFullError, match="closed"):
        studio.storage.new_folder()


# No address but this machine's is asked for by the server, and nobody's name is looked up.
ALONE = """
import sys

def seen(event, arguments):
    if event == "socket.connect":
        place = arguments[1]
        if isinstance(place, tuple) and place[0] not in ("127.0.0.1", "::1"):
            print("CONNECTED", place, flush=True)
    if event == "socket.getaddrinfo" and arguments[0] not in (None, "127.0.0.1", "localhost", b"127.0.0.1", "::1"):
        print("LOOKED UP", arguments[0], flush=True)

sys.addaudithook(seen)
from mcvd.apps.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_both_signals_are_heard_also_where_they_were_ignored(number):
    before = signal.signal(number, signal.SIG_IGN)
    with _ended_by_signal() as ended:
        signal.raise_signal(number)
        assert ended.wait(1)
    assert signal.signal(number, before) == signal.SIG_IGN


def test_a_signal_ends_it_and_leaves_nothing(model, tmp_path):
    temporary, out = tmp_path / "tmp", tmp_path / "out"
    temporary.mkdir()
    model.save_pretrained(tmp_path / "model")
    words = ["studio", "--model", str(tmp_path / "model"), "--device", "cpu"]
    environment = os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment.pop("GRADIO_TEMP_DIR", None)
    with out.open("w") as file:
        run = subprocess.Popen([sys.executable, "-c", ALONE, *words], env=environment, stdout=file, stderr=file)
    try:
        while not (found := re.search(r"mcvd studio: (http://\S+)", out.read_text())):
            assert run.poll() is None, out.read_text()
            time.sleep(0.1)
        with httpx.Client(base_url=found[1], timeout=60) as visitor, visitor.stream("GET", "/gradio_api/heartbeat/me"):
            assert upload(visitor).status_code == 200
            assert [*temporary.glob("mcvd-studio-*")]
            run.send_signal(signal.SIGTERM)
            assert run.wait(30) == 0
    finally:
        run.kill()
        run.wait()
    said = out.read_text()
    assert not any(word in said for word in ("CONNECTED", "LOOKED UP", "Traceback")), said
    assert "uploads and results are deleted" in said
    assert not [*temporary.iterdir()]
