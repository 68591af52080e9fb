"""Work in forks of this process, which has done the slow imports; several of them know each other as torchrun's do."""

import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

LIMIT_SECONDS = 600  # of each, by the clock: a busy machine is slow


def forked(world_size: int, work: Callable[[int], int | None], log: Path) -> list[int]:
    """Exit statuses of ``work(rank)`` in so many forks, which print to ``log-0``, ``log-1``, ...

    A process that is killed has its signal, negative: SIGALRM if it was still there after `LIMIT_SECONDS`.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(world_size):
        child = os.fork()
        if not child:
            signal.alarm(LIMIT_SECONDS)
            where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "LOCAL_RANK": rank, "RANK": rank}
            if world_size > 1:
                os.environ |= {name: str(value) for name, value in (where | {"WORLD_SIZE": world_size}).items()}
            _be_the_child(work, rank, f"{log}-{rank}")
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def said(log: Path) -> str:
    """The last that the forks printed."""
    return "".join(path.read_text()[-3000:] for path in sorted(log.parent.glob(f"{log.name}-*")))


def _be_the_child(work: Callable[[int], int | None], rank: int, log: str) -> None:
    for number in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    status = 70
    try:
        status = work(rank) or 0
    except SystemExit as leaving:
        status = leaving.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 1)
