"""Work done as a user who may not read everything, also where the tests are run by the superuser."""

import gc
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def folder_for_all():
    """A folder that every user can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o777)
        yield Path(name)


def told_to_nobody(work):
    """What ``work`` raises when a user without rights does it: "Kind: text", or "" if nothing."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        # Garbage that was inherited is not ours to collect: decoders in it wait for threads that only the parent has.
        gc.disable()
        told = ""
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
            work()
        except BaseException as error:
            told = f"{type(error).__name__}: {error}"
        os.write(writing, told.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()
