"""Frames encoded once: what is trained on is what the codec makes of them, and what does not fit is refused."""

import json

import pytest
import torch
import yaml
from reference.tiny import pixels
from reference.tiny_fit import TINY

import mcvd
from mcvd.apps.cli.main import main
from mcvd.data import ConcatVideos, DrivingScenes, MemmapVideos, VideoFolder
from mcvd.data.clips.spec import ClipSpec
from mcvd.data.sources.latents import LatentVideos, write_latents
from mcvd.data.video_clips import VideoClips
from mcvd.models.codecs.autoencoders import new_autoencoder, read_autoencoder, write_autoencoder
from mcvd.models.codecs.latents import Latents

SMALL = {"latent_channels": 2, "patch": 4, "width": 8, "encoder_blocks": 1, "decoder_blocks": 1}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A codec, in a folder."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("codec") / "codec"
    net = new_autoencoder("PatchAutoencoder", SMALL)
    write_autoencoder(folder, "PatchAutoencoder", SMALL, net.state_dict(), {"mean": [0.1, 0.2], "std": [0.3, 0.5]})
    return folder


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "data.yaml"
    path.write_text(yaml.safe_dump({"data": {"train": TINY["data"]["train"], "val": TINY["data"]["val"]}}))
    return path


@pytest.fixture(scope="module")
def encoded(source, recipe, tmp_path_factory):
    out = tmp_path_factory.mktemp("latents") / "latents"
    assert main(["data", "encode", str(recipe), "--codec", str(source), "--out", str(out), "--size", "16"]) == 0
    return out


def clips(recipe, **options):
    train, val = (yaml.safe_load(recipe.read_text())["data"][side]["init_args"] for side in ("train", "val"))
    return VideoClips(train=DrivingScenes(**train), val=DrivingScenes(**val), num_frames=4, size=16, **options)


def test_clips_of_latents_are_what_the_codec_makes_of_the_same_clips(source, recipe, encoded):
    codec, _ = Latents(source=str(source)).with_network()
    pixel, latent = clips(recipe), clips(recipe, latents=encoded)
    pixel.setup()
    latent.setup()
    assert latent.codec == codec.digest and len(pixel.train_clips) == len(latent.train_clips)
    for sample in (0, 5):
        expected, found = pixel.train_clips[sample]["video"], latent.train_clips[sample]["video"]
        assert found.dtype == torch.float16 and found.shape == (4, 2, 4, 4)
        torch.testing.assert_close(codec.encode(found), codec.encode(expected), atol=2e-3, rtol=2e-3)
    assert latent.val_clips[0]["video"].dtype == torch.uint8


def test_training_on_them_asks_no_encoder_and_learns_the_same(source, recipe, encoded, tmp_path, monkeypatch):
    config = TINY | {"model": TINY["model"] | {"codec": {"class_path": "mcvd.models.codecs.Latents"}}}
    config["model"]["codec"]["init_args"] = {"source": str(source)}
    config |= {"data": TINY["data"] | {"max_val_clips": 1}}
    config["trainer"] = TINY["trainer"] | {"max_steps": 2, "limit_val_batches": 0}
    (tmp_path / "fit.yaml").write_text(yaml.safe_dump(config))
    losses = {}
    for name, words in {"frames": [], "latents": ["--data.latents", str(encoded)]}.items():
        if words:
            monkeypatch.setattr("mcvd.models.codecs.latents.latents_of", None)
        folder = tmp_path / name
        words = ["--config", str(tmp_path / "fit.yaml"), *words, "--trainer.default_root_dir", str(folder)]
        assert main(["fit", *words]) == 0
        rows = (folder / "run-1" / "metrics.csv").read_text().splitlines()
        losses[name] = [float(row.split(",")[rows[0].split(",").index("train/loss")]) for row in rows[1:]]
    assert losses["latents"] == pytest.approx(losses["frames"], rel=5e-3) and len(losses["latents"]) == 2


def test_latents_of_another_codec_are_refused_before_a_run_begins(source, recipe, encoded, tmp_path, capsys):
    stored = read_autoencoder(str(source))
    other = tmp_path / "codec"
    write_autoencoder(other, stored.kind, stored.arguments, stored.weights, {"mean": [0.0, 0.2], "std": [0.3, 0.5]})
    codec = {"class_path": "mcvd.models.codecs.Latents", "init_args": {"source": str(other)}}
    (tmp_path / "fit.yaml").write_text(yaml.safe_dump(TINY | {"model": TINY["model"] | {"codec": codec}}))
    words = ["--data.latents", str(encoded), "--trainer.default_root_dir", str(tmp_path / "runs")]
    assert main(["fit", "--config", str(tmp_path / "fit.yaml"), *words]) != 0
    assert "another codec" in capsys.readouterr().err.strip().splitlines()[-1]


def test_what_is_held_out_of_the_training_videos_is_no_latents(source, tmp_path):
    codec, _ = Latents(source=str(source)).with_network()
    videos = DrivingScenes(num_videos=3, num_frames=9)
    spec = ClipSpec(4, (16, 16))
    write_latents(tmp_path / "pack", videos, spec, (4, 4, 2), codec.encode, codec.digest, lambda number: None)
    data = VideoClips(train=videos, num_frames=4, size=16, latents=tmp_path / "pack")
    data.setup()
    assert len(data.train_clips.videos) == 2 and data.val_clips[0]["video"].shape == (4, 3, 16, 16)
    found = data.train_clips.videos.read(1, [8, 0], (4, 4))
    expected = codec.encode(videos.read(1, [8, 0], (16, 16)))
    torch.testing.assert_close(found.float(), expected, atol=2e-3, rtol=2e-3)


def test_what_was_encoded_before_an_interruption_is_kept(source, tmp_path):
    codec, _ = Latents(source=str(source)).with_network()
    videos, spec, size = DrivingScenes(num_videos=3, num_frames=40), ClipSpec(4, (16, 16)), (4, 4, 2)
    encoded: list[int] = []
    told: list[str] = []

    def encode(frames):
        if len(encoded) == stop:
            raise KeyboardInterrupt
        encoded.append(len(frames))
        return codec.encode(frames)

    def write(name: str, digest: str) -> dict[str, bytes]:
        encoded.clear()
        write_latents(tmp_path / name, videos, spec, size, encode, digest, lambda number: None, told.append)
        return {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}

    stop = 3
    with pytest.raises(KeyboardInterrupt):
        write("pack", codec.digest)
    assert encoded == [32, 8, 32] and "3 blocks are kept" in told[-1] and not (tmp_path / "pack").exists()
    stop = -1
    resumed = write("pack", codec.digest)
    assert encoded == [1, 1, 1, 8, 32, 8] and "3 blocks are done" in told[-1]
    assert write("whole", codec.digest) == resumed and encoded == [32, 8] * 3
    assert {path.name for path in tmp_path.iterdir()} == {"pack", "whole"}


def test_latents_of_another_codec_are_not_resumed_from(source, tmp_path):
    codec, _ = Latents(source=str(source)).with_network()
    videos, spec = DrivingScenes(num_videos=1, num_frames=40), ClipSpec(4, (16, 16))
    calls: list[int] = []

    def write(digest: str, calls_until_stop: int) -> None:
        def encode(frames):
            if len(calls) == calls_until_stop:
                raise KeyboardInterrupt
            calls.append(len(frames))
            return codec.encode(frames)

        write_latents(tmp_path / "pack", videos, spec, (4, 4, 2), encode, digest, lambda number: None)

    with pytest.raises(KeyboardInterrupt):
        write(codec.digest, 1)
    write("another", 99)
    assert calls == [32, 32, 8]


@pytest.mark.parametrize("is_other", [False, True], ids=["the same", "one is another now"])
def test_what_was_encoded_of_other_videos_is_not_resumed_from(is_other, source, tmp_path):
    codec, _ = Latents(source=str(source)).with_network()
    for number in range(2):
        mcvd.write_video(tmp_path / "videos" / f"{number}.gif", pixels(9, 3, 16, 16, seed=number), fps=10)
    calls: list[int] = []

    def write(last: int) -> None:
        def encode(frames):
            if len(calls) == last:
                raise KeyboardInterrupt
            calls.append(len(frames))
            return codec.encode(frames)

        videos = VideoFolder(tmp_path / "videos")
        write_latents(
            tmp_path / "pack", videos, ClipSpec(4, (16, 16)), (4, 4, 2), encode, codec.digest, lambda number: None
        )

    with pytest.raises(KeyboardInterrupt):
        write(1)
    if is_other:
        mcvd.write_video(tmp_path / "videos" / "0.gif", pixels(9, 3, 16, 16, seed=7), fps=10)
    write(99)
    assert calls == [9, 1] + [9] * is_other + [9]


def test_a_complete_pack_is_not_made_again_and_one_of_other_videos_not_written_over(
    source, recipe, encoded, tmp_path, capsys
):
    words = ["data", "encode", str(recipe), "--codec", str(source), "--out", str(encoded), "--size"]
    before = (encoded / "frames.bin").stat().st_mtime_ns
    assert main([*words, "16"]) == 0
    assert "there is nothing to do" in capsys.readouterr().out
    assert main([*words, "32"]) == 1
    assert "of other videos, or of another codec or size" in capsys.readouterr().err
    assert (encoded / "frames.bin").stat().st_mtime_ns == before
    assert {path.name for path in encoded.parent.iterdir()} == {"latents"}


def test_videos_that_changed_and_kept_their_bytes_are_noticed(source, tmp_path):
    """Prepared videos of one size always have the same number of bytes."""
    codec, _ = Latents(source=str(source)).with_network()
    spec, size = ClipSpec(4, (16, 16)), (4, 4, 2)
    videos, others = (DrivingScenes(num_videos=3, num_frames=9, seed=seed) for seed in range(2))
    words = (tmp_path / "pack", videos, spec, size, codec.encode, codec.digest, lambda number: None)
    assert write_latents(*words) and not write_latents(*words)
    with pytest.raises(FileExistsError, match="of other videos"):
        write_latents(tmp_path / "pack", others, *words[2:])


def test_latents_that_are_not_finite_are_not_written(tmp_path):
    def encode(frames):
        return torch.full((len(frames), 2, 4, 4), 1e6)  # beyond float16

    with pytest.raises(ValueError, match="not finite"):
        videos = DrivingScenes(num_videos=1, num_frames=9)
        write_latents(tmp_path / "pack", videos, ClipSpec(4, (16, 16)), (4, 4, 2), encode, "", lambda number: None)
    assert not [*tmp_path.iterdir()]


def test_a_recipe_with_latents_is_checked_as_such_and_not_packed(recipe, encoded, tmp_path, capsys):
    data = yaml.safe_load(recipe.read_text())["data"] | {"latents": str(encoded), "num_workers": 0}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"data": data}))
    words = [str(tmp_path / "data.yaml"), "--size", "16"]
    assert main(["data", "check", *words, "--preview", str(tmp_path / "preview.png")]) == 0
    told = capsys.readouterr().out
    assert f"training clips are latents, {encoded}" in told and "needs a scale" not in told
    assert main(["data", "pack", *words, "--out", str(tmp_path / "shards")]) == 2
    assert "leave out latents" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flip": True}, "leave out flip and crop"),
        ({"crop": "random"}, "leave out flip and crop"),
        ({"size": (32, 32)}, r"wanted are \(32, 32, 3\)"),
    ],
)
def test_clips_that_cannot_be_made_of_latents_are_refused(recipe, encoded, options, message):
    videos = clips(recipe).train_videos
    with pytest.raises(ValueError, match=message):
        LatentVideos(videos, encoded, ClipSpec(**{"num_frames": 4, "size": (16, 16)} | options))


def test_latents_of_other_videos_and_pixels_are_refused(recipe, encoded, tmp_path):
    videos, spec = clips(recipe).train_videos, ClipSpec(4, (16, 16))
    with pytest.raises(ValueError, match="of other videos"):
        LatentVideos(ConcatVideos([videos, videos]), encoded, spec)
    (tmp_path / "films").mkdir()
    for folder in ("absent", "films"):
        with pytest.raises(FileNotFoundError, match="mcvd data encode"):
            LatentVideos(videos, tmp_path / folder, spec)
    with pytest.raises(ValueError, match=r"name it as data\.latents"):
        len(MemmapVideos(encoded.parent))
    index = json.loads((encoded / "index.json").read_text())
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "index.json").write_text(json.dumps(index))
    (tmp_path / "pack" / "frames.bin").write_bytes(b"short")
    with pytest.raises(ValueError, match="damaged"):
        LatentVideos(videos, tmp_path / "pack", spec)
