"""What Windows and macOS lack, taken away: every module is imported, and commands do their work."""

import builtins
import importlib.util
import os
import pkgutil
import re
import shutil
import signal
import sys
from pathlib import Path

import av  # noqa: F401, what mcvd needs is imported as it is; what is taken away is asked for by mcvd alone
import lightning.pytorch.cli  # noqa: F401
import torchmetrics  # noqa: F401
from faults.forked import forked, said
from reference.tiny import pixels, tiny_model

import mcvd

ROOT = Path(__file__).parents[1]
MODULES = ["fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "syslog", "posix"]
LACKING = {
    os: ["sysconf", "fork", "getuid", "geteuid", "getpgid", "killpg", "setsid", "sched_getaffinity", "statvfs"],
    signal: ["SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "alarm", "setitimer", "pthread_sigmask"],
}
OPTIONAL = ("gradio", "decord", "torchcodec", "litdata")
COMMANDS = [
    "predict videos/a.mp4 --model tiny --num-frames 3 --steps 1 --out o.mp4 --gallery",
    "generate --model tiny --num-frames 3 --steps 1 --out folder",
    "export tiny --out shared",
    "data check videos --num-frames 3",
]


def take_away():
    """In a process that ends after it."""
    usage, real = shutil.disk_usage("."), builtins.__import__
    shutil.disk_usage = lambda path: usage  # every system has it; here it uses statvfs

    def without(name, globals=None, locals=None, fromlist=(), level=0):
        asks = (globals or {}).get("__name__") or ""
        if level == 0 and asks.partition(".")[0] == "mcvd" and name.partition(".")[0] in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}, asked for by {asks}")
        return real(name, globals, locals, fromlist, level)

    builtins.__import__ = without
    for module, names in LACKING.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)


def import_and_do(folder):
    os.chdir(folder)
    if importlib.util.find_spec("gradio") is not None:
        importlib.import_module("gradio")
    for name in [name for name in sys.modules if name.partition(".")[0] == "mcvd"]:
        del sys.modules[name]
    take_away()
    package = importlib.import_module("mcvd")
    for module in pkgutil.walk_packages(package.__path__, "mcvd."):
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            if error.name is None or error.name.partition(".")[0] not in OPTIONAL:
                raise
        print("imported", module.name)
    main = importlib.import_module("mcvd.apps.cli.main").main
    for words in COMMANDS:
        assert main(words.split()) == 0, words


def test_nothing_imports_or_uses_what_other_systems_lack(tmp_path):
    tiny_model(past=2, current=3, future=2, channels=3).save_pretrained(tmp_path / "tiny")
    (tmp_path / "videos").mkdir()
    for name in "ab":
        mcvd.write_video(tmp_path / "videos" / f"{name}.mp4", pixels(12, 3, 16, 16), fps=10)
    assert forked(1, lambda _: import_and_do(tmp_path), tmp_path / "log") == [0], said(tmp_path / "log")
    imported = set(re.findall(r"imported (\S+)", (tmp_path / "log-0").read_text()))
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "mcvd").rglob("*.py")
    }
    assert modules - imported <= {"mcvd"}
    assert (tmp_path / "o.mp4").exists() and (tmp_path / "folder" / "sample-0.mp4").exists()
