"""``mcvd studio``: a model in the browser."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from mcvd.apps.cli import options
from mcvd.apps.cli.options import Command, positive
from mcvd.apps.cli.say import note, say, say_json

EXAMPLES = """examples:
  mcvd studio
  mcvd studio --model drive
  mcvd studio --model drive --classifier runs/drive-classifier/run-1/classifier
  mcvd studio --model drive --port 7860 --max-megabytes 50
  MCVD_STUDIO_PASSWORD=... mcvd studio --host 0.0.0.0       (others come in, with the password)"""

PASSWORD = "MCVD_STUDIO_PASSWORD"


def _add_arguments(command: ArgumentParser) -> None:
    options.add_model(command)
    text = "visitors can guide the model towards its labels: a folder that mcvd fit-classifier has written"
    command.add_argument("--classifier", metavar="FOLDER", help=text)
    text = "address to listen on (default: 127.0.0.1, nobody from outside); any other asks visitors for a password"
    command.add_argument("--host", help=text)
    command.add_argument("--port", type=options.port, help="default: the first free one from 7860")
    text = "another name under which the page is reached, such as that of a server in front; may be repeated"
    command.add_argument("--allow-host", action="append", metavar="NAME", help=text)
    command.add_argument("--max-megabytes", type=positive, metavar="N", help="largest upload (default: 200)")
    text = "all uploads and results together (default: 2000)"
    command.add_argument("--max-total-megabytes", type=positive, metavar="N", help=text)
    text = "longest video, given or generated, at the model's rate (default: 600)"
    command.add_argument("--max-frames", type=positive, metavar="N", help=text)
    options.add_json(command)
    command.add_argument("--share", action="store_true", help="not there, on purpose: says what to do instead")


def run(
    model: str | None = None,
    trust: list[str] | None = None,
    device: str | None = None,
    size: tuple[int, int] | None = None,
    classifier: str | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    allow_host: list[str] | None = None,
    max_megabytes: int = 200,
    max_total_megabytes: int | None = None,
    max_frames: int = 600,
    share: bool = False,
    json: bool = False,
) -> None:
    """Serve the page until Ctrl+C or SIGTERM; nothing of it is left then."""
    from importlib.util import find_spec

    if share:
        raise ValueError(
            "the studio sends nothing through servers of others: --host 0.0.0.0 lets others in with a password, "
            "ssh -L 7860:localhost:7860 brings the page to another machine"
        )
    if find_spec("gradio") is None:
        raise ModuleNotFoundError("mcvd studio needs Gradio: pip install 'mcvd[studio]'")
    if max_total_megabytes is not None and max_total_megabytes < max_megabytes:
        raise ValueError(f"--max-total-megabytes {max_total_megabytes} is less than one upload ({max_megabytes})")
    _check_address(host, port)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported

    from mcvd.apps.cli.checks import check_inputs
    from mcvd.apps.cli.classified import load_for_model
    from mcvd.apps.cli.setup import load_for_command
    from mcvd.apps.studio.clip import Limits
    from mcvd.apps.studio.guard import is_this_machine
    from mcvd.apps.studio.service import LIFETIME_SECONDS, QUOTA_MEGABYTES, Studio
    from mcvd.apps.studio.storage import Storage

    check_inputs(classifier=classifier)
    net = load_for_command(model, device, trust, size)
    guide = None if classifier is None else load_for_model(classifier, net)
    name = "the bundled model" if model is None else Path(model).resolve().name if Path(model).exists() else model
    password = None if is_this_machine(host) else os.environ.get(PASSWORD) or _new_password()
    limits = Limits(megabytes=max_megabytes, frames=max_frames)
    storage = Storage((max_total_megabytes or max(QUOTA_MEGABYTES, max_megabytes)) * 1_000_000, LIFETIME_SECONDS)
    with _ended_by_signal() as ended, closing(Studio(net, name, limits, storage, guide)) as studio:
        storage.lend_to_gradio()
        from mcvd.apps.studio.page import serve  # imports Gradio

        page, url = serve(studio, host, port, password, allow_host or ())
        say(f"mcvd studio: {url} (stop with Ctrl+C)")
        if json:
            say_json({"url": url, "password": password})
        while not ended.wait(1):  # a wait without end would keep Ctrl+C from Windows
            pass
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it tells what is cancelled with a traceback
        page.server.force_exit = True  # who is still connected does not hold it up
        page.close(verbose=False)
    note("mcvd studio: closed, all uploads and results are deleted")


def _check_address(host: str, port: int | None) -> None:
    """Refuse an address before anything is loaded on which nobody can listen."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        with socket.socket(found[0][0], socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((found[0][4][0], port or 0))
    except OSError as error:
        where = f"--host {host}" + (f" --port {port}" if port else "")
        raise OSError(f"{where}: nothing can listen there ({error.strerror}); choose another") from error


def _new_password() -> str:
    import secrets

    password = secrets.token_urlsafe(12)
    say(f"mcvd studio: others can reach this page; password {password} (any user name; {PASSWORD} sets your own)")
    return password


@contextmanager
def _ended_by_signal() -> Iterator[threading.Event]:
    """Set by Ctrl+C and SIGTERM, also where a shell started this in the background and Ctrl+C was ignored."""
    ended = threading.Event()
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


COMMAND = Command(
    "try a model in the browser: drop a video, mark frames, look at several futures", run, _add_arguments, EXAMPLES
)
