"""Work for `mcvd.runtime.distributed` in which one process is killed; apart, as new processes import it."""

import os
import signal

from torch import distributed

from faults.killer import Killer


def die(victim):
    if distributed.get_rank() == victim:
        os.kill(os.getpid(), signal.SIGKILL)
    distributed.barrier()


def killed_work(hooks, killed, **options):
    """Do the work ``killed`` with a `Killer` in the processes that have one."""
    if distributed.get_rank() in hooks:
        Killer(*hooks[distributed.get_rank()])
    killed(**options)
