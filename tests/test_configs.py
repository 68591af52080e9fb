"""Every config parses as `mcvd fit` parses it; the published experiments have the published networks and settings."""

import copy
import re
from functools import cache
from pathlib import Path

import pytest
import torch
from jsonargparse._util import get_import_path
from reference.published import description, needs_fixtures

import mcvd.data
from mcvd.data import AbstractVideos
from mcvd.models.codecs.autoencoders import write_autoencoder
from mcvd.models.published.config import translate_config
from mcvd.models.video_model import VideoModel
from mcvd.training.codec import ARGUMENTS, CodecFit
from mcvd.training.fit import FitCLI

CONFIGS = Path(__file__).parents[1] / "configs"
PUBLISHED = CONFIGS / "published"
ROW = re.compile(r"\| (\w+) \| ([^|]*) \| ([^|]*) \| ([\d,]+) \|")
TABLE = {name: row for name, *row in ROW.findall((CONFIGS / "README.md").read_text())}


class Parsed(FitCLI):
    """`mcvd fit` as far as its parser."""

    def instantiate_classes(self):
        """Nothing: neither data nor memory for weights is needed."""


@cache
def front_door():
    return Parsed(["--config", str(CONFIGS / "small.yaml")])


def parsed(*files, options=()):
    cli = copy.copy(front_door())  # whose parser takes a second to make
    cli.parse_arguments(cli.parser, [word for file in files for word in ("--config", str(file))] + list(options))
    return cli


@cache
def experiment(name):
    """The command of a row of the README's table, and the number of parameters that it tells."""
    files, options, parameters = TABLE[name]
    paths = [PUBLISHED / f"{file}.yaml" for file in ["base", *re.findall(r"`(.*?)`", files)]]
    return parsed(*paths, options=options.strip("`").split()), int(parameters.replace(",", ""))


def num_parameters(cli):
    config = cli.model_config()
    with torch.device("meta"):
        net = VideoModel.from_config(config).denoiser.net
    net.check_size(*config["size"])
    return sum(weight.numel() for weight in net.parameters())


def test_the_table_has_the_published_experiments():
    assert len(TABLE) == 47


@pytest.mark.parametrize("name", TABLE)
def test_an_experiment_of_the_table_builds_the_network_that_it_tells(name):
    cli, parameters = experiment(name)
    assert num_parameters(cli) == parameters
    masking, block = cli.config.model.masking, cli.config.model.block
    assert block.future or not masking.p_future


def test_every_file_is_used_by_the_table_or_stands_alone(tmp_path):
    used = {file for files, *_ in TABLE.values() for file in re.findall(r"`(.*?)`", files)} | {"base"}
    assert used == {path.relative_to(PUBLISHED).with_suffix("").as_posix() for path in PUBLISHED.rglob("*.yaml")}
    alone = list(CONFIGS.glob("*.yaml"))
    assert alone
    for path in alone:
        files = re.findall(r"--config configs/(\S+)", path.read_text()) or [path.name]
        assert files[-1] == path.name
        if "--init_from" in path.read_text():  # the model is another's
            continue
        options = own_codec(tmp_path / path.stem) if "source: runs/" in path.read_text() else []
        assert num_parameters(parsed(*(CONFIGS / file for file in files), options=options)) > 0


def own_codec(folder):
    """Options that put an untrained codec in the place of one that is to be trained first."""
    pytest.importorskip("diffusers", reason="the extra mcvd[latents]")
    write_autoencoder(folder, "VQModel", ARGUMENTS["VQModel"], CodecFit("VQModel").net.state_dict(), {})
    return ["--model.codec.init_args.source", str(folder)]


def test_a_later_file_changes_what_it_names_and_nothing_else():
    before = parsed(PUBLISHED / "base.yaml", PUBLISHED / "kth.yaml").model_config()
    after = parsed(PUBLISHED / "base.yaml", PUBLISHED / "kth.yaml", PUBLISHED / "kth-spatin.yaml").model_config()
    arguments = before["net"]["init_args"]
    spatin = {"width": 192, "tell_mask": False, "tell_noise": False, "tell_motion": False, "tell_low": False}
    conditioning = {"class_path": "mcvd.nets.SPATIN", "init_args": spatin}
    changed = arguments | {"width": 192, "conditioning": conditioning}
    assert after == before | {"net": before["net"] | {"init_args": changed}}


@needs_fixtures
def test_published_networks_and_training_settings_are_those_of_the_published_configs():
    covered = set()
    for name, about in description("full_size_state_dicts").items():
        theirs, name = about["config"], name.removeprefix("script:")
        covered.add(name)
        cli, parameters = experiment(name)
        assert parameters == about["params"]
        ours, expected = cli.model_config(), translate_config(theirs)
        assert {key: ours[key] for key in expected} == expected, name

        optim, optimizer = theirs["optim"], cli.config.model.optimizer
        assert optimizer.class_path == f"torch.optim.{optim['optimizer']}"
        chosen = {key: optimizer.init_args[key] for key in ("lr", "eps", "weight_decay", "amsgrad")}
        assert chosen == {key: optim[key] for key in chosen}
        assert optimizer.init_args.betas == (optim["beta1"], 0.999)
        assert cli.config.model.warmup_steps == optim["warmup"]
        assert cli.config.trainer.gradient_clip_val == optim["grad_clip"]
        augment = cli.config.data.augment
        assert (augment.hue if augment else 0) == theirs["data"].get("color_jitter", 0)
        assert cli.config.ema.decay == theirs["model"]["ema_rate"] and not cli.config.ema.warmup
        # The scripts' own options say 32 and 16 for these, and so do the names; the recorded configs do not.
        batch_size = 16 if "city16" in name else 32 if re.match("city32|ucf10132", name) else None
        assert cli.config.data.batch_size == (batch_size or theirs["training"]["batch_size"]), name
    assert len(covered) == 23


SOURCES = [name for name in dir(mcvd.data) if issubclass(type(getattr(mcvd.data, name)), type(AbstractVideos))]


@pytest.mark.parametrize("name", SOURCES)
def test_a_collection_is_stored_under_the_path_of_its_wing_so_that_its_file_may_move(name):
    assert get_import_path(getattr(mcvd.data, name)) == f"mcvd.data.{name}"


def test_a_run_stores_the_short_paths_of_its_classes():
    data = parsed(CONFIGS / "bundled.yaml").config.data
    nested = [part.class_path for part in data.train.init_args.collections]
    assert data.train.class_path == "mcvd.data.ConcatVideos"
    assert {*nested} == {"mcvd.data.MemmapVideos", "mcvd.data.MovingStills", "mcvd.data.DrivingScenes"}
