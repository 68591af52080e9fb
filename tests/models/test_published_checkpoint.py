"""Published checkpoints: read exactly or refused in one line, and nothing in them is executed."""

import pickle

import pytest
import torch
from reference.published import (
    CHOICES,
    checkpoint_of,
    choices,
    description,
    needs_fixtures,
    random_state,
    tensors,
    write,
)

from mcvd.models.published.checkpoint import build_net, check_schedule, read_published
from mcvd.models.published.config import read_config, translate_config
from mcvd.models.published.keys import EXPECTED, READ, SAYS_NOTHING
from mcvd.models.published.state_dict import translate, translations
from mcvd.nets import Context


def test_averaged_or_raw_weights_are_read_as_asked(tmp_path):
    raw, averaged = random_state(seed=0), random_state(seed=1)
    files = write(tmp_path, checkpoint_of(raw, averaged))
    net = build_net(translate_config(CHOICES))
    for use_ema, state in ((True, averaged), (False, raw)):
        read, expected = read_published(*files, use_ema=use_ema).state, translate(net, state)
        assert read.keys() == net.state_dict().keys()
        assert all(torch.equal(read[name], expected[name]) for name in expected)


def test_the_translation_covers_our_names_once_and_uses_each_published_name_once():
    net = build_net(translate_config(CHOICES))
    table = translations(net)
    assert sorted(each.ours for each in table) == sorted(net.state_dict())
    used = [name for each in table for name in each.published]
    assert len(used) == len(set(used))


def test_a_checkpoint_without_averages_says_so(tmp_path):
    with pytest.raises(ValueError, match="use_ema=False"):
        read_published(*write(tmp_path, checkpoint_of(random_state())))


def test_the_older_names_of_the_final_norm_are_known():
    changed = choices(spade=False)
    net, state = build_net(translate_config(changed)), random_state(changed)
    norm = next(each for each in translations(net) if each.ours == "final_norm.weight").published[0]
    older = {name.replace(".Norm_0.", "."): tensor for name, tensor in state.items()}
    assert norm not in older
    assert torch.equal(translate(net, older)["final_norm.weight"], state[norm])


def test_missing_and_surplus_weights_are_named():
    net, state = build_net(translate_config(CHOICES)), random_state()
    state["unet.all_modules.99.weight"] = state.pop("unet.all_modules.3.weight")
    with pytest.raises(ValueError, match=r"1 missing \(unet.all_modules.3.weight\); 1 surplus \(unet.all_modules.99"):
        translate(net, state)


def test_a_wrong_shape_is_refused_with_both_shapes():
    net, state = build_net(translate_config(CHOICES)), random_state()
    state["unet.all_modules.0.weight"] = torch.zeros(3, 3)
    with pytest.raises(ValueError, match=r"all_modules.0.weight has shape \(3, 3\), expected \(32, 8\)"):
        translate(net, state)


def test_the_configuration_says_what_the_model_is():
    config = translate_config(choices(prob_mask_cond=0.5, prob_mask_future=0.5, prob_mask_sync=True))
    assert config["block"] == {"past": 2, "current": 2, "future": 1}
    assert config["net"]["init_args"] == {
        "width": 8, "multipliers": [1, 2], "num_blocks": 1, "attention_levels": [1], "head_channels": 8, "dropout": 0.1,
        "conditioning": {
            "class_path": "mcvd.nets.SPATIN",
            "init_args": {"width": 8, "tell_mask": False, "tell_noise": False, "tell_motion": False, "tell_low": False},
        },
        "past_embedding": True, "gradient_checkpointing": False, "num_signals": 0,
    }  # fmt: skip
    masking = {"p_past": 0.5, "p_future": 0.5, "tied": True}
    assert config["masking"] == masking | {"p_partial": 0.0, "p_any": 0.0, "p_signals": 0.0}
    assert config["schedule"]["init_args"] == {"num_steps": 100, "beta_min": 0.0001, "beta_max": 0.02}
    assert translate_config(choices(sigma_dist="cosine"))["schedule"] == {
        "class_path": "mcvd.noise.Cosine", "init_args": {"num_steps": 100},
    }  # fmt: skip


def test_one_head_everywhere_is_understood():
    net = build_net(translate_config(choices(n_head_channels=-1)))
    assert net.middle.attention.num_heads == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"arch": "unet"}, "model.arch is 'unet'"),
        ({"version": "SMLD"}, "model.version is 'SMLD'"),
        ({"gamma": 1}, "model.gamma must be true or false"),
        ({"output_all_frames": True}, "model.output_all_frames is True"),
        ({"sigma_dist": "geometric"}, "model.sigma_dist is 'geometric'"),
        ({"ngf": None}, "no model.ngf"),
        ({"ch_mult": "1, 2"}, "model.ch_mult must be a list"),
        ({"channels": "three"}, "data.channels must be a whole number"),
        ({"rescaled": False}, "data.rescaled is False"),
        ({"logit_transform": True}, "data.logit_transform is True"),
        ({"uniform_dequantization": True}, "data.uniform_dequantization is True"),
        ({"gaussian_dequantization": True}, "data.gaussian_dequantization is True"),
        ({"time_conditional": False}, "model.time_conditional is False"),
        ({"resblock": "ddpm"}, "model.resblock: not an entry"),
    ],
)
def test_models_that_cannot_be_read_are_refused_by_name(changes, named):
    with pytest.raises(ValueError, match=named) as refused:
        translate_config(choices(**changes))
    assert "\n" not in str(refused.value)


def test_entries_beside_those_that_are_known_are_refused_by_name_and_sections_too():
    with pytest.raises(ValueError, match=r"image_mean, data.crop: not an entry"):
        translate_config({**CHOICES, "image_mean": 0.5, "data": CHOICES["data"] | {"crop": 3}})


def test_no_entry_is_known_twice():
    for section in ("data", "model"):
        known = [*READ[section], *EXPECTED[section], *SAYS_NOTHING[section]]
        assert len(known) == len(set(known))


def test_a_schedule_that_is_not_the_configured_one_is_refused():
    schedule = translate_config(CHOICES)["schedule"]
    alphas = torch.cumprod(1 - torch.linspace(0.0001, 0.02, 100), 0).flip(0)
    check_schedule(schedule, {"alphas": alphas})
    for wrong in (alphas.flip(0), alphas[:50]):
        with pytest.raises(ValueError, match=r"mcvd.noise.LinearBeta"):
            check_schedule(schedule, {"alphas": wrong})


def test_namespaces_in_a_configuration_are_plain_mappings(tmp_path):
    file = tmp_path / "config.yml"
    file.write_text("!!python/object:argparse.Namespace\ndata: !!python/object:argparse.Namespace {channels: 3}\n")
    assert read_config(file) == {"data": {"channels": 3}}


@pytest.mark.parametrize(
    "payload",
    [
        "data: !!python/object/apply:os.mkdir [{mark}]",
        "data: !!python/object/new:os.mkdir [{mark}]",
        "data: !!python/object:pathlib.Path {{}}",
        "data: !!python/name:os.mkdir",
        "data: !!timestamp yesterday",
        "data: !!bool maybe",
        "data: [",
        pytest.param("[" * 5000, id="deep"),
        "just words",
    ],
)
def test_a_configuration_cannot_make_objects(tmp_path, payload):
    file, mark = tmp_path / "config.yml", tmp_path / "mark"
    file.write_text(payload.format(mark=mark))
    with pytest.raises(ValueError, match=r"config.yml: ") as refused:
        read_published(tmp_path / "checkpoint.pt", file)
    assert "\n" not in str(refused.value)
    assert not mark.exists()


class LeavesAMark:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return type(self.mark).mkdir, (self.mark,)


@pytest.mark.parametrize("save", [torch.save, lambda states, file: file.write_bytes(pickle.dumps(states, protocol=2))])
def test_a_checkpoint_cannot_execute_code(tmp_path, save):
    mark = tmp_path / "mark"
    checkpoint, config = write(tmp_path, [])
    save([LeavesAMark(mark), {}, 0, 0, {}], checkpoint)
    with pytest.raises(ValueError, match=r"checkpoint.pt: .*nothing in it was executed") as refused:
        read_published(checkpoint, config)
    assert "\n" not in str(refused.value)
    assert not mark.exists()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused_in_one_line(tmp_path, share):
    state = random_state()
    checkpoint, config = write(tmp_path, checkpoint_of(state, state))
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"checkpoint.pt: .*damaged") as refused:
        read_published(checkpoint, config)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("states", [{"state_dict": {}}, [1, 2, 3, 4, 5], [{"module.a": "b"}, {}, 0, 0, {}]])
def test_another_kind_of_checkpoint_is_refused(tmp_path, states):
    with pytest.raises(ValueError, match="not a published checkpoint"):
        read_published(*write(tmp_path, states))


def test_files_that_are_not_there_are_named(tmp_path):
    checkpoint, config = write(tmp_path, [])
    with pytest.raises(FileNotFoundError, match=r"gone.pt"):
        read_published(tmp_path / "gone.pt", config)
    with pytest.raises(FileNotFoundError, match=r"gone.yml"):
        read_published(checkpoint, tmp_path / "gone.yml")


@needs_fixtures
@pytest.mark.parametrize("name", "abcd")
def test_a_published_checkpoint_gives_the_published_answer(tmp_path, name):
    stored, about = tensors(f"unet_{name}"), description(f"unet_{name}")["config"]
    state = {key[4:]: tensor for key, tensor in stored.items() if key.startswith("ref.")}
    buffers = ("betas", "alphas", "alphas_prev", "unet.sigmas")
    averaged = {key: tensor for key, tensor in state.items() if key not in buffers}
    model = read_published(*write(tmp_path, checkpoint_of(state, averaged), about))

    net = build_net(model.config).to_empty(device="cpu").eval()
    net.load_state_dict(model.state)
    context, noisy = (stored[f"in.{key}"].unflatten(1, (-1, model.config["channels"])) for key in ("cond", "x"))
    keep = torch.ones(context.shape[:2], dtype=torch.bool)
    if "in.cond_mask" in stored:
        keep[:, : model.config["block"]["past"]] = stored["in.cond_mask"].bool()[:, None]
    with torch.inference_mode():
        answer = net(noisy, stored["in.t"].float(), net.encode_condition(Context(context, keep), cache=True)).flatten(
            1, 2
        )
    assert (answer - stored["out.eps_f64"]).abs().max() < 2e-5


@needs_fixtures
def test_every_published_model_is_covered():
    for name, about in description("full_size_state_dicts").items():
        net = build_net(translate_config(about["config"]))
        state = {key: torch.empty(shape, device="meta") for key, shape in about["state_dict"].items()}
        assert translate(net, state).keys() == net.state_dict().keys(), name
        assert sum(each.numel() for each in net.parameters()) == about["params"], name


@needs_fixtures
def test_published_schedules_are_recognised():
    stored = tensors("schedules_f")
    for kind in ("linear", "cosine"):
        schedule = translate_config(choices(sigma_dist=kind, num_classes=1000))["schedule"]
        check_schedule(schedule, {"alphas": stored[f"{kind}.alphas"]})
        with pytest.raises(ValueError, match="noise schedule"):
            check_schedule(schedule, {"alphas": stored[f"{'cosine' if kind == 'linear' else 'linear'}.alphas"]})
