"""A Python that has done the slow imports and runs each piece of code in a fork of itself: a new one costs seconds.

What reads the environment when it is imported must not be among the imports; the client of the Hub, which others import
where they find it, is forgotten.
"""

import json
import os
import runpy
import subprocess
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


class ForkedPython:
    def __init__(self, imports):
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
        code = f"import {', '.join(imports)}; from reference.forked_python import serve; serve()"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, **pipes)

    def run(self, words, folder, env):
        """(exit status, what was printed, what was printed as errors) of ``python *words`` with -c or -m."""
        said = [folder / ".stdout", folder / ".stderr"]
        for path in said:
            path.unlink(missing_ok=True)
        print(json.dumps([words, str(folder), env, *map(str, said)]), file=self.process.stdin, flush=True)
        status = int(self.process.stdout.readline())
        return status, *(path.read_text() for path in said)


@contextmanager
def forked_python(*imports):
    python = ForkedPython(imports)
    yield python
    python.process.communicate()


def serve():
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _run(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _run(words, folder, env, *said):
    for number, path in zip((1, 2), said, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.environ |= env
    os.chdir(folder)
    for name in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
        del sys.modules[name]
    status = 0
    try:
        if words[0] == "-c":
            exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.argv = words[1:]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    except SystemExit as leaving:
        status = leaving.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 1)
