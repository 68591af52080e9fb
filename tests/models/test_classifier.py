"""A classifier of noisy clips: kept in files that open safely, and what it refuses."""

import json
import shutil

import pytest
import torch
from reference.tiny import tiny_config, tiny_model

import mcvd
from mcvd.models.classifier import LabelClassifier, load_classifier
from mcvd.noise import Coefficients, Cosine, Geometric

WORDS = ("left", "right", "still")


def tiny_classifier(channels=1, labels=WORDS, num_frames=3):
    torch.manual_seed(1)
    small = {"width": 8, "multipliers": (1, 2), "head_channels": 8}
    classifier = LabelClassifier(labels, num_frames, (16, 16), channels, **small)
    for parameter in classifier.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return classifier.eval().requires_grad_(False)


def test_a_saved_classifier_says_the_same(tmp_path):
    classifier = tiny_classifier()
    classifier.save_pretrained(tmp_path / "it")
    again = load_classifier(tmp_path / "it")
    assert again.labels == WORDS and again.size == (16, 16)
    noisy, at = torch.randn(2, 3, 1, 16, 16), Cosine()(torch.tensor([0.2, 0.9]))
    assert torch.equal(again(noisy, at), classifier(noisy, at))
    assert "right" in (tmp_path / "it/README.md").read_text()


def test_the_same_noise_is_told_whatever_the_schedule():
    classifier = tiny_classifier()
    noisy, at = torch.randn(1, 3, 1, 16, 16), Geometric()(torch.tensor([0.4]))
    size = (at.alpha**2 + at.sigma**2).sqrt()
    scaled = Coefficients(at.alpha / size, at.sigma / size)
    torch.testing.assert_close(classifier(noisy / size, scaled), classifier(noisy, at))


def test_a_clip_does_not_depend_on_its_batch():
    classifier, at = tiny_classifier(), Cosine()(torch.tensor([0.1, 0.5]))
    noisy = torch.randn(2, 3, 1, 16, 16)
    second = Coefficients(at.alpha[1:], at.sigma[1:])
    torch.testing.assert_close(classifier(noisy, at)[1:], classifier(noisy[1:], second))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ["left", "right"]}, "another shape"),
        ({"width": 16}, "another shape"),
        ({"width": 1 << 40}, "at most 65536"),
        ({"num_frames": 0}, "1 to 1024 frames"),
        ({"size": [15, 16]}, "divisible by 2"),
        ({"labels": ["left", "left", "right"]}, "different words"),
        ({"labels": {"class_path": "os.system", "init_args": {"command": "true"}}}, "labels"),
        ({"flavour": 1}, "flavour"),
    ],
)
def test_a_folder_that_somebody_changed_is_refused_and_named(changes, message, tmp_path):
    tiny_classifier().save_pretrained(tmp_path / "it")
    path = tmp_path / "it/config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({"classifier": config["classifier"] | changes}))
    with pytest.raises(ValueError, match=message) as refusal:
        load_classifier(tmp_path / "it")
    assert str(tmp_path / "it") in str(refusal.value) and "\n" not in str(refusal.value)


def test_only_models_of_such_clips_are_guided(tmp_path):
    tiny_model().save_pretrained(tmp_path / "model")
    tiny_classifier().check_guides(mcvd.load(tmp_path / "model", size=(24, 32)))
    with pytest.raises(ValueError, match="knows clips of 2 grey frames of 16x16, and the model makes 3 grey frames"):
        tiny_classifier(num_frames=2).check_guides(tiny_model())


@pytest.mark.parametrize("colors", [{"colored_noise": True}, {"reference": "context", "reference_colors": True}])
def test_models_whose_noise_has_colours_are_not_guided_and_grey_ones_are(colors):
    tiny_classifier().check_guides(mcvd.build(tiny_config() | colors))
    with pytest.raises(ValueError, match=r"knows white noise.*--model.colored_noise false --model.reference_colors"):
        tiny_classifier(channels=3).check_guides(mcvd.build(tiny_config(channels=3) | colors))


def test_what_is_no_classifier_is_refused(tmp_path):
    tiny_model().save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match="no classifier"):
        load_classifier(tmp_path / "model")
    with pytest.raises(FileNotFoundError, match="missing"):
        load_classifier(tmp_path)
    tiny_classifier().save_pretrained(tmp_path / "it")
    shutil.copy(tmp_path / "model/model.safetensors", tmp_path / "it/model.safetensors")
    with pytest.raises(ValueError, match="weights"):
        load_classifier(tmp_path / "it")


def test_it_guides_models_of_its_own_frames_alone():
    model = tiny_model()
    tiny_classifier().check_guides(model)
    with pytest.raises(ValueError, match=r"4 grey frames of 16x16.*makes 3 grey frames of 16x16"):
        tiny_classifier(num_frames=4).check_guides(model)
    latents = {"kind": "PatchAutoencoder", "arguments": {"in_channels": 1, "latent_channels": 1, "patch": 4}}
    codec = {"class_path": "mcvd.models.codecs.Latents", "init_args": latents}
    with pytest.raises(ValueError, match="guides models of pixels"):  # though these have one channel as well
        tiny_classifier().check_guides(mcvd.build(tiny_config() | {"codec": codec}))
    with pytest.raises(ValueError, match=r"knows no 'lefft'.*left"):
        tiny_classifier().wish("lefft")


def test_guided_samples_look_more_like_the_label_the_more_they_are_asked(tmp_path):
    model, classifier = tiny_model(), tiny_classifier()
    clean = Coefficients(torch.ones(2), torch.zeros(2))

    def seen(weight):
        options = {} if weight is None else {"guide": classifier.wish("right"), "guide_weight": weight}
        frames = model.generate(3, num_samples=2, steps=4, rounded=False, progress=False, **options)
        return classifier(2 * frames - 1, clean).log_softmax(1)[:, 1].mean(), frames

    unguided, little, much, most = (seen(weight) for weight in (None, 0.0, 20.0, 1e9))
    assert torch.equal(unguided[1], little[1])
    assert much[0] > little[0] and most[0] > little[0]
    assert most[1].isfinite().all()
