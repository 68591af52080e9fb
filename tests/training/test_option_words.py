"""Which options a training has, read from the source of its classes."""

import pytest

from mcvd.models.mcvd import MCVD
from mcvd.training import option_words
from mcvd.training.classifier_cli import ClassifierCLI
from mcvd.training.codec_cli import CodecCLI
from mcvd.training.configs import with_configs
from mcvd.training.distill_cli import DistillCLI
from mcvd.training.fit import CALLBACKS, option_names
from mcvd.training.option_words import MODEL, section_arguments, unknown_option
from mcvd.training.words import check_fit_words

KINDS = {
    option_words.CODEC: CodecCLI.model_kind,
    option_words.STUDENT: DistillCLI.model_kind,
    option_words.CLASSIFIER: ClassifierCLI.model_kind,
    MODEL: MCVD,
}


def test_the_options_are_those_of_the_parser():
    told = {f"--{section}.{each}" for section, names in section_arguments(MODEL).items() for each in names}
    sections = {"model", "data", "trainer", *CALLBACKS}
    names = {name.removesuffix("+") for name in option_names()}
    known = {name for name in names if name.count(".") == 1 and name[2:].partition(".")[0] in sections}
    assert known <= told
    linked = {"--data.num_frames", "--data.size", "--data.channels", "--data.seed", "--data.signals"}
    assert told - known <= linked | {"--model.block", "--model.masking"}


@pytest.mark.parametrize("path", KINDS)
def test_each_training_names_the_class_of_its_model(path):
    defined = KINDS[path] if "__init__" in vars(KINDS[path]) else KINDS[path].__mro__[1]
    assert path == f"{defined.__module__}.{defined.__name__}"
    assert section_arguments(path)["model"]


@pytest.mark.parametrize(
    "word",
    [
        "--data.root",
        "--trainer.callbacks+",
        "--trainer.max_step",
        "--model.net.anything",
        "--print_config",
        "-c",
        "3",
        "--zzz",
        "--ckpt",
    ],
)
def test_what_is_there_begun_or_like_nothing_is_left_to_the_parser(word):
    assert unknown_option([f"{word}=1"], MODEL) is None


def test_of_a_class_whose_source_is_not_there_nothing_is_told():
    assert unknown_option(["--model.nett=1"], "mcvd.nowhere.Model") is None
    assert unknown_option(["--model.nett=1"], "no_such_package.Model") is None


@pytest.mark.parametrize("words", [["--model.net.help", "UNet"], ["--config", "small", "--data.train.help=OwnVideos"]])
def test_who_asks_what_a_class_takes_need_not_say_on_what_to_train(words):
    assert {f"{option}.help" for option in ("--model.net", "--data.train")} <= {*option_names()}
    check_fit_words(words)
    assert with_configs(words)[0][-len(words) :][-1] == words[-1]  # the parser answers it
