"""A compiled network answers as the network itself, is not compiled anew for each batch, and may fail to compile."""

import copy
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace

import pytest
import torch
import torch._dynamo
import yaml
from reference.tiny import pixels, tiny_config, tiny_model
from reference.tiny_fit import TINY
from torch._dynamo.utils import counters
from torch.fx.experimental.proxy_tensor import make_fx

import mcvd
import mcvd.nets.compiled
from mcvd.models.files import LAST
from mcvd.nets.compiled import CompiledNet, should_compile
from mcvd.nets.cuda_graph import _NOTHING, MAX_GRAPHS, CUDAGraphNet, alike
from mcvd.nets.onednn import OneDNNConvolutions
from mcvd.samplers import UniPC
from mcvd.training.fit import run_fit

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
    long, short = mcvd.nets.compiled.WORTH_CALLS, mcvd.nets.compiled.WORTH_CALLS - 1
    assert (
        should_compile("auto", GPU, long)
        and not should_compile("auto", GPU, short)
        and not should_compile("auto", CPU, long)
    )
    assert should_compile("always", CPU, short) and not should_compile("never", GPU, long)
    with pytest.raises(ValueError, match="sometimes"):
        should_compile("sometimes", CPU, 1)


class Replayed(CUDAGraphNet):
    """Records as a GPU does: the operations and the tensors that they read, so that none of our code runs again."""

    recorded = 0

    def _capture(self, work, device):
        self.recorded += 1
        traced = make_fx(work)()
        answer = torch.empty_like(traced())
        return lambda: answer.copy_(traced()), answer


class Unrecordable(CUDAGraphNet):
    def _capture(self, work, device):
        raise RuntimeError("operation not permitted when stream is capturing")


def calls_of(net, offset, count=4, batch=2):
    """Answers to some calls with one condition, kept to see that later calls leave them alone."""
    encoded = SimpleNamespace(offset=offset)
    states = [torch.full((batch, 3), float(number)) for number in range(count)]
    return [net(state, torch.tensor(float(n)).expand(batch), encoded) for n, state in enumerate(states)]


@pytest.mark.parametrize("dtype", [torch.bfloat16, None])
def test_what_autocast_keeps_for_a_block_is_in_no_graph(dtype):
    seen = []

    def net(noisy, label, encoded):
        seen.append(
            (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"), torch.is_autocast_cache_enabled())
        )
        return noisy @ noisy.mT

    quick, state, given = Replayed(net), torch.rand(3, 3), condition(1.0)
    with torch.no_grad(), torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
        answers = [quick(state, torch.tensor(4.0).expand(3), given) for _ in range(3)]
    assert [each.dtype for each in answers] == 3 * [dtype or torch.float32]
    assert seen == [(dtype is not None, torch.bfloat16, keeps) for keeps in (True, False)]


def plain_net(noisy, label, encoded):
    return noisy * 2 + label[:, None] + encoded.offset


def test_replays_answer_as_the_network_and_each_condition_and_shape_is_recorded_once():
    net = Replayed(plain_net)
    for recorded, (offset, batch) in enumerate([(1.0, 2), (5.0, 2), (5.0, 3)], 1):
        for quick, plain in zip(calls_of(net, offset, 4, batch), calls_of(plain_net, offset, 4, batch), strict=True):
            assert torch.equal(quick, plain)
        assert net.recorded == recorded
    net.reset()
    assert net._seen is None
    assert torch.equal(calls_of(net, 7.0, 1)[0], calls_of(plain_net, 7.0, 1)[0])
    assert net.recorded == 3  # a single call is not worth a recording


@dataclass(frozen=True)
class Offset:
    offset: torch.Tensor
    parts: dict
    kind: str = "plus"


def net_with_parts(noisy, label, encoded):
    return (noisy * 2 + label[:, None] + encoded.offset) * encoded.parts["factor"][0]


def condition(number, kind="plus", size=3):
    return Offset(torch.full((size,), number), {"factor": (torch.tensor(number + 1), None)}, kind)


def test_a_condition_that_differs_in_numbers_is_copied_into_the_recorded_one():
    net, state, label = Replayed(net_with_parts), torch.ones(2, 3), torch.tensor(4.0).expand(2)
    conditions = [condition(1.0), condition(2.0), condition(-3.0)]
    before = copy.deepcopy(conditions)
    for each in (*conditions, conditions[0]):
        for call in range(3):
            assert torch.equal(net(state + call, label, each), net_with_parts(state + call, label, each))
        net.reset()
    assert net.recorded == 1
    assert str(conditions) == str(before)  # nobody's tensors were written to
    for other in (condition(1.0, kind="minus"), condition(1.0, size=1)):
        for call in range(3):
            assert torch.equal(net(state + call, label, other), net_with_parts(state + call, label, other))
    assert net.recorded == 3


class Levels:
    """Somebody's condition, which the next block gets again, filled anew."""


@dataclass
class Made:
    offset: torch.Tensor
    double: torch.Tensor = field(init=False)

    def __post_init__(self):
        self.double = 2 * self.offset


@dataclass(frozen=True)
class Lazy:
    offset: torch.Tensor

    @cached_property
    def double(self):
        return 2 * self.offset


class Bag(dict):
    def total(self):
        return sum(self.values())


def filled(number, levels=Levels()):
    levels.offset = torch.tensor(number)
    return levels


OF_STRANGERS = {
    "ragged": (
        lambda noisy, label, lists: noisy + sum(lists[0]) - sum(lists[1]),
        [(list(torch.rand(2, 3)), list(torch.rand(1, 3))), (list(torch.rand(1, 3)), list(torch.rand(2, 3)))],
    ),
    "an object used again": (lambda noisy, label, given: noisy + given.offset, [1.0, 5.0]),
    "a field that is made": (lambda noisy, label, given: noisy + given.double, [Made(torch.rand(3)) for _ in range(2)]),
    "made when asked for": (lambda noisy, label, given: noisy + given.double, [Lazy(torch.rand(3)) for _ in range(2)]),
    "a dictionary of its own": (
        lambda noisy, label, bag: noisy + bag.total(),
        [Bag(a=torch.rand(3)), Bag(a=torch.rand(3))],
    ),
    "true is not one": (
        lambda noisy, label, given: noisy + (given[1] if given[0] is True else 0.0),
        [(True, torch.rand(3)), (1, torch.rand(3))],
    ),
}


@pytest.mark.parametrize("name", OF_STRANGERS)
def test_what_is_not_known_of_a_condition_is_not_taken_for_the_same(name):
    plain, conditions = OF_STRANGERS[name]
    net, state, label = Replayed(plain), torch.ones(2, 3), torch.tensor(4.0).expand(2)
    for each in conditions:
        given = filled(each) if isinstance(each, float) else each
        for call in range(4):
            assert torch.equal(net(state + call, label, given), plain(state + call, label, given)), name
        net.reset()


def test_a_network_that_keeps_the_condition_itself_is_recorded_for_each():
    kept = []
    net, state, label = Replayed(lambda noisy, label, given: noisy + kept[-1]), torch.ones(2, 3), torch.zeros(2)
    for number in (1.0, 5.0):
        kept.append(torch.tensor(number))
        assert [net(state, label, None)[0, 0].item() for _ in range(3)] == 3 * [1 + number]
        net.reset()


def test_numbers_that_no_graph_reads_have_to_be_the_same():
    one, two = torch.tensor([1.0]), torch.tensor([2.0])
    assert alike(one, two, CPU) and alike(one, one.clone(), GPU)
    assert not alike(one, two, GPU)  # they are on the CPU, and were read when it was recorded


def test_as_many_graphs_are_kept_as_a_video_has_shapes():
    net = Replayed(net_with_parts)
    for rows in (*range(1, MAX_GRAPHS + 2), 1):
        state, label, given = torch.ones(rows, 3), torch.tensor(4.0).expand(rows), condition(float(rows))
        for call in range(3):
            assert torch.equal(net(state + call, label, given), net_with_parts(state + call, label, given))
        assert len(net._recorded) == min(rows, MAX_GRAPHS) or rows == 1
    assert net.recorded == MAX_GRAPHS + 2  # the oldest was let go of, and made again


def test_where_recording_fails_the_network_works_on_and_one_line_says_so():
    net = Unrecordable(plain_net)
    with pytest.warns(UserWarning, match="works without CUDA graphs: operation not permitted") as said:
        answers = calls_of(net, 1.0)
    assert len(said) == 1
    assert all(torch.equal(*both) for both in zip(answers, calls_of(plain_net, 1.0), strict=True))


@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize(
    "changes",
    [{}, {"conditioning": "SPATIN"}, {"net": "SpaceTimeUNet"}, {"past_embedding": True}],
    ids=["Concat", "SPATIN", "SpaceTimeUNet", "past_embedding"],
)
def test_a_sampler_calls_one_graph_for_all_blocks_and_forgets_their_conditions(monkeypatch, changes, guidance):
    made = []
    monkeypatch.setattr("mcvd.diffusion.engine.CUDAGraphNet", lambda net: made.append(Replayed(net)) or made[-1])
    monkeypatch.setattr(OneDNNConvolutions, "can_run", lambda device, dtype: False)  # as on a GPU
    model, past = tiny_model(**changes), pixels(1, 2, 1, 16, 16)
    options = {"num_frames": 9, "sampler": UniPC(num_steps=4), "guidance": guidance}
    expected = model.predict(past, **options)
    assert not made
    monkeypatch.setattr("mcvd.diffusion.engine.should_graph", lambda compile, device: compile != "never")
    assert torch.equal(model.predict(past, **options), expected)
    assert torch.equal(model.predict(past, compile="never", **options), expected)
    assert [net.recorded for net in made] == [1]  # of three blocks
    assert made[0]._seen is None and model.denoiser._stand_in is None
    assert all(each.holds is _NOTHING for each in made[0]._recorded.values())


RESIDUALS = {"reference": "context", "predicts": "edm"}
OWN_LEVELS = {"frame_noise": {"p_own": 0.5}}
OTHER_WORK = {
    "samples in parts": ({}, {}, {"num_samples": 3, "batch_size": 2}, 3),
    "guided residuals": ({}, RESIDUALS, {"guidance": 2.0}, 1),
    "rolling": ({"net": "SpaceTimeUNet", "future": 0}, OWN_LEVELS, {"rolling": True, "steps": 6, "sampler": None}, 1),
    "keyframes": (
        {"net": "SpaceTimeUNet"},
        OWN_LEVELS | {"masking": {"p_past": 0.5, "p_future": 0.5, "p_any": 0.3}},
        {"known": {4: pixels(2, 1, 16, 16, seed=5)}, "known_by": "condition"},
        2,
    ),
}


@pytest.mark.parametrize("name", OTHER_WORK)
def test_other_work_of_a_sampler_is_replayed_as_it_is(monkeypatch, name):
    shape, changes, options, recorded = OTHER_WORK[name]
    made = []
    monkeypatch.setattr("mcvd.diffusion.engine.CUDAGraphNet", lambda net: made.append(Replayed(net)) or made[-1])
    monkeypatch.setattr(OneDNNConvolutions, "can_run", lambda device, dtype: False)  # as on a GPU
    torch.manual_seed(0)
    model = mcvd.build(tiny_config(**shape) | changes).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    past, told = pixels(2, 2, 1, 16, 16), {"num_frames": 8, "sampler": UniPC(num_steps=3)} | options
    expected = model.predict(past, **told)
    monkeypatch.setattr("mcvd.diffusion.engine.should_graph", lambda compile, device: True)
    assert torch.equal(model.predict(past, **told), expected)
    assert [net.recorded for net in made] == [recorded]
