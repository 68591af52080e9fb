"""Videos that are made block by block: what was stopped resumes, and outputs are whole or absent."""

import io
import os
import resource
import signal
import sys
from contextlib import redirect_stderr

import pytest
import torch
from reference.tiny import pixels, tiny_model

import mcvd
from mcvd.apps.cli.main import main
from mcvd.diffusion.block_store import BlockStore
from mcvd.diffusion.plan import plan
from mcvd.frames import FrameBlock
from mcvd.runtime.workdir import resumable_workdir
from mcvd.samplers import DDIM
from mcvd.video.frame_store import FrameStore

LENGTH = 20  # seven blocks


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model(channels=3).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("videos") / "given.gif"
    mcvd.write_video(path, pixels(8, 3, 16, 16), fps=10)
    return str(path)


def words(task, model, video, out, *more):
    given = [] if task == "generate" else [video]
    length = ["--gap", "3:6"] if task == "interpolate" else ["--num-frames", str(LENGTH)]
    return [task, *given, "--model", model, "--out", str(out), "--steps", "2", "--device", "cpu", *length, *more]


class interrupted:
    """Ctrl-C in the n-th call of the sampler inside the ``with``; counts the calls."""

    def __init__(self, at=None):
        self.calls, self.at = 0, at

    def __enter__(self):
        self.sample = sample = DDIM.__call__

        def call(sampler, *arguments):
            self.calls += 1
            if self.calls == self.at:
                raise KeyboardInterrupt
            return sample(sampler, *arguments)

        DDIM.__call__ = call
        return self

    def __exit__(self, *_):
        DDIM.__call__ = self.sample


def run(argv):
    said = io.StringIO()
    with redirect_stderr(said):
        return main(argv), said.getvalue()


@pytest.mark.parametrize(
    "more", [[], ["--backward"], ["--num-samples", "2", "--batch-size", "1"]], ids=["forward", "backward", "two parts"]
)
def test_a_prediction_that_was_interrupted_goes_on_and_is_the_one_that_was_not(model, video, tmp_path, more):
    argv = words("predict", model, video, tmp_path / "out.png", "--sampler", "DDIM", *more)  # a form without loss
    with interrupted() as whole:
        assert run([*argv[:4], "--out", str(tmp_path / "whole.png"), *argv[6:]])[0] == 0
    with interrupted(at=5):
        status, said = run(argv)
    assert status == 130 and "4 blocks are kept, the same command resumes from there" in said
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == [".out.png.work"]
    with interrupted() as rest:
        status, said = run(argv)
    assert status == 0 and "resuming" in said and "4 blocks are done" in said
    assert rest.calls == whole.calls - 4
    assert not (tmp_path / ".out.png.work").exists()
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "whole.png").read_bytes()


@pytest.mark.parametrize("task", ["generate", "interpolate"])
def test_the_other_tasks_go_on_as_well(model, video, tmp_path, task):
    more = ["--sampler", "DDIM", "--num-samples", "3", "--batch-size", "1"]
    with interrupted(at=3):
        assert run(words(task, model, video, tmp_path / "out.gif", *more))[0] == 130
    status, said = run(words(task, model, video, tmp_path / "out.gif", *more))
    assert status == 0 and "2 blocks are done" in said
    assert run(words(task, model, video, tmp_path / "whole.gif", *more))[0] == 0
    assert (tmp_path / "out.gif").read_bytes() == (tmp_path / "whole.gif").read_bytes()


def test_a_prediction_killed_by_sigkill_goes_on(model, video, tmp_path):
    argv = words("predict", model, video, tmp_path / "out.png", "--sampler", "DDIM")
    child = os.fork()
    if not child:
        sample, calls = DDIM.__call__, []

        def call(sampler, *arguments):
            calls.append(1)
            if len(calls) == 4:
                os.kill(os.getpid(), signal.SIGKILL)
            return sample(sampler, *arguments)

        DDIM.__call__ = call
        os._exit(main(argv))
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == [".out.png.work"]
    with interrupted() as rest:
        status, said = run(argv)
    assert status == 0 and rest.calls == 4 and "3 blocks are done" in said
    run([*argv[:4], "--out", str(tmp_path / "whole.png"), *argv[6:]])
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "whole.png").read_bytes()


@pytest.mark.parametrize("other", [["--seed", "1"], ["--steps", "1"], ["--guidance", "2"]])
def test_other_settings_start_anew(model, video, tmp_path, other):
    argv = words("predict", model, video, tmp_path / "out.mp4", "--sampler", "DDIM")
    with interrupted(at=3):
        run(argv)
    with interrupted() as rest:
        status, said = run([*argv, *other])
    assert status == 0 and "other settings: starting over" in said and rest.calls == 7


def test_a_damaged_block_is_made_again(model, video, tmp_path):
    argv = words("predict", model, video, tmp_path / "out.mp4", "--sampler", "DDIM")
    with interrupted(at=4):
        run(argv)
    (tmp_path / ".out.mp4.work" / "block-000001-0.npy").write_bytes(b"\x93NUMPY\x01\x00")
    with interrupted() as rest:
        assert run(argv)[0] == 0
    assert rest.calls == 5


def test_two_processes_do_not_make_the_same_video(tmp_path):
    first, second = (resumable_workdir(tmp_path / "out", {}) for _ in range(2))
    with first, pytest.raises(ValueError, match="another process is writing"):
        second.__enter__()


@pytest.mark.parametrize(("limit", "kept"), [(1200, "nothing is left of it"), (9500, "1 block is kept")])
@pytest.mark.parametrize("out", ["out.mp4", "out.gif", "out"])
def test_a_limit_on_the_size_of_files_leaves_no_output_and_says_so(model, tmp_path, out, limit, kept):
    mcvd.write_video(tmp_path / "given.gif", pixels(60, 3, 16, 16), fps=10)
    child = os.fork()
    if not child:
        os.dup2(os.open(tmp_path / "said", os.O_WRONLY | os.O_CREAT), 2)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        status = main(words("interpolate", model, str(tmp_path / "given.gif"), tmp_path / out))
        sys.stderr.flush()
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    *_, line = (tmp_path / "said").read_text().splitlines()
    assert line.startswith(f"mcvd: cannot write {tmp_path / out}: File too large; {kept}"), line
    assert {path.name for path in tmp_path.iterdir()} <= {"said", "given.gif", f".{out}.work"}


@pytest.mark.parametrize(
    "block", [FrameBlock(2, 3), FrameBlock(2, 3, 2), FrameBlock(9, 2, 4), FrameBlock(1, 1, 1)], ids=str
)
@pytest.mark.parametrize("num_future", [0, 9])
def test_what_a_block_sees_is_kept_exactly(tmp_path, block, num_future):
    kept, made_by = BlockStore(tmp_path, block), {}
    for number, window in enumerate(plan(block, num_past=9, num_future=num_future * bool(block.future), num_frames=60)):
        seen = {*window.past, *window.current, *window.future} & made_by.keys()
        assert all(made_by[frame] >= number - kept._num_exact for frame in seen)
        made_by |= dict.fromkeys(window.new, number)


def test_only_blocks_that_can_still_be_seen_are_kept_exactly(tmp_path):
    kept = BlockStore(tmp_path, FrameBlock(2, 3))
    blocks = [torch.randn(1, 3, 1, 2, 2) for _ in range(20)]
    for number, block in enumerate(blocks):
        kept.save(0, number, block)
    exact = [torch.equal(kept.load(0, number, block.shape), block) for number, block in enumerate(blocks)]
    assert exact == sorted(exact) and 0 < sum(exact) < 10
    assert (kept.load(0, 0, blocks[0].shape) - blocks[0].clamp(-1, 1)).abs().max() < 1 / 127
    assert kept.load(0, 0, (1, 3, 1, 2, 3)) is None and kept.load(0, 20, blocks[0].shape) is None


def test_a_frame_file_gives_what_was_written_in_any_order(tmp_path):
    frames = pixels(2, 5, 3, 4, 4)
    file = FrameStore(tmp_path / "frames", frames.shape)
    for start, stop in ((3, 5), (0, 2), (2, 3)):
        file.write(start, frames[:, start:stop])
    assert torch.equal(file.all(), frames)
    assert torch.equal(torch.cat(list(file.chunks(1))), frames[1])
    with pytest.raises(ValueError, match="uint8"):
        file.write(0, frames.float())
