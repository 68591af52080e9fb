"""``mcvd studio``: a model in the browser."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from mcvd.apps.cli import options
from mcvd.apps.cli.options import Command, positive

EXAMPLES = """examples:
  mcvd studio
  mcvd studio --model drive
  mcvd studio --model drive --port 7860 --max-megabytes 50"""


def _add_arguments(command: ArgumentParser) -> None:
    options.add_model(command)
    command.add_argument("--host", help="address to listen on (default: 127.0.0.1, nobody from outside)")
    command.add_argument("--port", type=options.port, help="default: the first free one from 7860")
    command.add_argument("--max-megabytes", type=positive, metavar="N", help="largest upload (default: 200)")
    text = "longest video, given or generated, at the model's rate (default: 600)"
    command.add_argument("--max-frames", type=positive, metavar="N", help=text)


def run(
    model: str | None = None,
    trust: list[str] | None = None,
    device: str | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    max_megabytes: int = 200,
    max_frames: int = 600,
) -> None:
    """Serve the page until Ctrl+C."""
    from importlib.util import find_spec

    if find_spec("gradio") is None:
        raise ModuleNotFoundError("mcvd studio needs Gradio: pip install 'mcvd[studio]'")
    from mcvd.apps.cli.setup import load_for_command
    from mcvd.apps.studio.clip import Limits
    from mcvd.apps.studio.page import serve
    from mcvd.apps.studio.service import Studio

    net = load_for_command(model, device, trust)
    name = "the bundled model" if model is None else Path(model).resolve().name if Path(model).exists() else model
    page, url = serve(Studio(net, name, Limits(megabytes=max_megabytes, frames=max_frames)), host, port)
    print(f"mcvd studio: {url} (stop with Ctrl+C)", flush=True)
    page.block_thread()


COMMAND = Command(
    "try a model in the browser: drop a video, mark frames, look at several futures", run, _add_arguments, EXAMPLES
)
