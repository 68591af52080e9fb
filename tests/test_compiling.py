"""A compiled network answers as the network itself, is not compiled anew for each batch, and may fail to compile."""

import copy
import warnings

import pytest
import torch
import torch._dynamo
import yaml
from tiny import pixels, tiny_model
from tiny_fit import TINY
from torch._dynamo.utils import counters

import mcvd.compiling
from mcvd.checkpoints import LAST
from mcvd.compiling import CompiledNet, pays
from mcvd.fit import run_fit
from mcvd.samplers import UniPC

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def traced(monkeypatch):
    """Tracing as always, but no C++ is made of what was traced: that would take minutes."""
    torch._dynamo.reset()
    counters.clear()
    honest = torch.compile
    monkeypatch.setattr(torch, "compile", lambda net, **options: honest(net, backend="eager"))


def test_sampling_compiled_is_sampling_and_no_batch_size_is_compiled_anew(traced):  # tracing twice takes seconds
    model = tiny_model(conditioning="SPATIN")
    options = {"num_frames": 6, "sampler": UniPC(num_steps=2), "num_samples": 1}
    for batch_size in (2, 3, 4):
        past = pixels(batch_size, 2, 1, 16, 16)
        plain, quick = (model.predict(past, compile=word, **options) for word in ("never", "always"))
        assert (plain.int() - quick.int()).abs().max() <= 1
    assert counters["stats"]["unique_graphs"] == 2  # one for two videos, one for any number
    assert not counters["graph_break"]
    twin = copy.deepcopy(model)
    assert (
        model.state_dict().keys() == twin.state_dict().keys() == tiny_model(conditioning="SPATIN").state_dict().keys()
    )
    assert isinstance(model.denoiser._compiled["reduce-overhead"], CompiledNet)


def test_training_compiled_is_training_and_saves_the_network_itself(traced, tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY))
    short = [f"--config={path}", "--trainer.max_steps=2", "--model.net.init_args.dropout=0"]
    saved = {}
    for word in ("never", "always"):
        run_fit([*short, f"--compile={word}", f"--trainer.default_root_dir={tmp_path}/{word}"])
        saved[word] = torch.load(tmp_path / word / "run-1" / LAST, weights_only=True)
    assert counters["stats"]["unique_graphs"] > 0
    states = [saved[word]["current_model_state"] for word in ("never", "always")]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], rtol=0, atol=1e-6)


def test_where_compiling_fails_the_network_works_on_and_one_line_says_so(monkeypatch):
    torch._dynamo.reset()
    honest = torch.compile

    def broken(graph, inputs):
        raise RuntimeError("no compiler is here\nand more lines")

    monkeypatch.setattr(torch, "compile", lambda net, **options: honest(net, backend=broken))
    model, past = tiny_model(), pixels(1, 2, 1, 16, 16)
    with pytest.warns(UserWarning, match="no compiler is here") as said:
        quick = model.predict(past, 3, sampler=UniPC(num_steps=2), compile="always")
    assert len(said) == 1 and "\n" not in str(said[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(quick, model.predict(past, 3, sampler=UniPC(num_steps=2)))
        assert torch.equal(quick, model.predict(past, 3, sampler=UniPC(num_steps=2), compile="always"))


def test_by_itself_only_long_work_on_a_gpu_is_compiled():
    long, short = mcvd.compiling.WORTH_CALLS, mcvd.compiling.WORTH_CALLS - 1
    assert pays("auto", GPU, long) and not pays("auto", GPU, short) and not pays("auto", CPU, long)
    assert pays("always", CPU, short) and not pays("never", GPU, long)
    with pytest.raises(ValueError, match="sometimes"):
        pays("sometimes", CPU, 1)
