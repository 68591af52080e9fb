"""What Windows and macOS lack, taken away: every module is imported, and commands do their work."""

import os
import re
import subprocess
import sys
from pathlib import Path

from reference.tiny import pixels, tiny_model

import mcvd

ROOT = Path(__file__).parents[1]
LACKING = {
    "modules": ["fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "syslog", "posix"],
    "os": ["sysconf", "fork", "getuid", "geteuid", "getpgid", "killpg", "setsid", "sched_getaffinity", "statvfs"],
    "signal": ["SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "alarm", "setitimer", "pthread_sigmask"],
}
CODE = """
import builtins, importlib, os, pkgutil, shutil, signal, sys
import av, einops, jsonargparse, lightning.pytorch.cli, PIL.Image, safetensors.torch, scipy, torch, torchmetrics
try:
    import gradio
except ImportError:
    pass

lacking = {lacking!r}
usage = shutil.disk_usage(".")
shutil.disk_usage = lambda path: usage  # every system has it; here it uses statvfs
real = builtins.__import__

def without(name, globals=None, locals=None, fromlist=(), level=0):
    asks = (globals or {{}}).get("__name__") or ""
    if level == 0 and asks.partition(".")[0] == "mcvd" and name.partition(".")[0] in lacking["modules"]:
        raise ModuleNotFoundError("No module named " + repr(name) + ", asked for by " + asks)
    return real(name, globals, locals, fromlist, level)

builtins.__import__ = without
for module in (os, signal):
    for name in lacking[module.__name__]:
        if hasattr(module, name):
            delattr(module, name)

import mcvd
for module in pkgutil.walk_packages(mcvd.__path__, "mcvd."):
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] not in ("gradio", "decord", "torchcodec", "litdata"):
            raise
    print("imported", module.name)

from mcvd.apps.cli.main import main
for words in {commands!r}:
    assert main(words.split()) == 0, words
"""


def test_nothing_imports_or_uses_what_other_systems_lack(tmp_path):
    tiny_model(past=2, current=3, future=2, channels=3).save_pretrained(tmp_path / "tiny")
    (tmp_path / "videos").mkdir()
    for name in "ab":
        mcvd.write_video(tmp_path / "videos" / f"{name}.mp4", pixels(12, 3, 16, 16), fps=10)
    commands = [
        "predict videos/a.mp4 --model tiny --num-frames 3 --steps 1 --out o.mp4 --gallery",
        "generate --model tiny --num-frames 3 --steps 1 --out folder",
        "export tiny --out shared",
        "data check videos --num-frames 3",
    ]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}"}
    code = CODE.format(lacking=LACKING, commands=commands)
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    imported = set(re.findall(r"imported (\S+)", found.stdout))
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "mcvd").rglob("*.py")
    }
    assert modules - imported <= {"mcvd"}
    assert (tmp_path / "o.mp4").exists() and (tmp_path / "folder" / "sample-0.mp4").exists()
