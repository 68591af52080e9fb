"""Work in several processes."""

from multiprocessing.util import Finalize

import pytest
import torch  # alone, so that new processes start fast
from torch import distributed

from mcvd.runtime.distributed import all_gather, rank, shard_range, spawn


def share(folder):
    found = str(all_gather([*shard_range(5)]))
    # When it ends, as the lock of a progress bar is given back, which would else be told to have leaked.
    Finalize(None, (folder / str(rank())).write_text, [found], exitpriority=0)


def fail_in_the_second(message):
    if rank() == 1:
        raise ValueError(message)
    distributed.barrier()  # the first waits for the other, in vain


def test_each_process_has_its_share_and_all_see_all(tmp_path):
    spawn(share, 2, folder=tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys("01", "[[0, 1], [2, 3, 4]]")


def test_an_error_in_one_of_several_processes_is_the_error_of_all():
    with pytest.raises(ValueError, match="none of this name"):
        spawn(fail_in_the_second, 2, message="none of this name")
    assert all_gather(3) == [3] and rank() == 0 and shard_range(5) == range(5) and torch.get_num_threads() == 1
