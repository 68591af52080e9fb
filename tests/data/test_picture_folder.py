"""Pictures beside clips: each by itself, none as context."""

import numpy as np
import pytest
import torch
from PIL import Image
from reference.tiny import pixels, tiny_config, tiny_model
from torch.nn.init import normal_

import mcvd
from mcvd.data import ConcatVideos, DrivingScenes, PictureFolder, VideoData, VideoSubset
from mcvd.frames import model_from_pixels


@pytest.fixture
def pictures(tmp_path):
    for number in range(5):
        colour = np.full((20 + 8 * number, 40, 3), 40 * number, np.uint8)
        (tmp_path / str(number % 2)).mkdir(exist_ok=True)
        Image.fromarray(colour).save(tmp_path / str(number % 2) / f"{number}.png")
    return tmp_path


def model(**options):
    torch.manual_seed(0)
    config = tiny_config(net="SpaceTimeUNet", channels=3) | {"reference": "context", "predicts": "edm"}
    config["masking"]["p_any"] = 0.5
    made = mcvd.build(
        config | {"frame_noise": {"p_own": 0.5}, "schedule": {"class_path": "mcvd.noise.Cosine"}} | options
    )
    for parameter in made.parameters():
        normal_(parameter, std=0.1)
    return made


def test_every_picture_comes_up_and_a_video_holds_different_ones(pictures):
    videos = PictureFolder(pictures, num_frames=3)
    assert len(videos) == 2
    frames = torch.cat([videos.read(number, range(3), (16, 24)) for number in range(2)])
    assert frames.shape == (6, 3, 16, 24)
    assert {int(frame[0, 0, 0]) for frame in frames} == {0, 40, 80, 120, 160}
    assert torch.equal(videos.read(1, [2, 0], (16, 24)), videos.read(1, range(3), (16, 24))[[2, 0]])
    others = [PictureFolder(pictures, num_frames=3, seed=seed).read(0, range(3), (16, 24)) for seed in (1, 2, 3)]
    assert not all(torch.equal(each, frames[:3]) for each in others)


def test_what_it_is_is_told_through_other_collections(pictures):
    stills, films = PictureFolder(pictures, num_frames=4), DrivingScenes(2, num_frames=4)
    both = ConcatVideos([films, stills])
    assert [both.is_unrelated(number) for number in range(len(both))] == [False, False, True, True]
    assert VideoSubset(both, [(3, 0, 4), (0, 0, 4)]).is_unrelated(0)


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no picture"):
        len(PictureFolder(tmp_path))


def test_a_batch_tells_its_pictures(pictures):
    both = ConcatVideos([DrivingScenes(2, num_frames=7), PictureFolder(pictures, num_frames=7)])
    data = VideoData(train=both, val=both, num_frames=7, size=16, batch_size=3, num_workers=0)
    data.setup("fit")
    batch = next(iter(data.val_dataloader()))
    assert batch["unrelated"].tolist() == [False, False, True]
    loss = model().loss({"video": batch["video"], "index": [0, 1, 2], "unrelated": batch["unrelated"]})
    assert loss.isfinite().all()


def test_pictures_are_learned_from_one_by_one():
    trained, video = model().train(), pixels(2, 7, 3, 16, 16)
    alone = torch.tensor([True, False])
    drawn = trained.draw({"video": video, "index": [0, 1], "unrelated": alone})
    assert not drawn.condition.keep[0].any()
    assert (drawn.frame_times[0] >= 0).all()
    changed = video.clone()
    changed[:, [0, 3, 6]] = 255 - changed[:, [0, 3, 6]]  # a past one, a current one, a future one

    def errors(clips):
        clean = trained.block.split(model_from_pixels(clips))[1]
        t = torch.full((2, 3), 0.4)
        bound = trained.denoiser.eval().bind(
            trained.draw({"video": clips, "index": [0, 1], "unrelated": alone}).condition
        )
        return bound(clean, t)

    apart = (errors(video) - errors(changed)).abs().flatten(2).amax(2)
    assert apart[0, [0, 2]].max() < 1e-6 < apart[0, 1]
    assert apart[1].min() > 1e-6


def test_the_reference_is_measured_on_films_alone():
    reference, films = model().denoiser.reference, pixels(2, 7, 3, 16, 16)
    before = reference.growth.clone()
    reference.measure(*reference_split(films[:0]))
    assert torch.equal(reference.growth, before)
    reference.measure(*reference_split(films))
    assert reference.num_clips == 2


def reference_split(video):
    return model_from_pixels(video).split([2, 3, 2], dim=1)


def test_a_network_that_sees_a_block_as_one_refuses_them():
    batch = {"video": pixels(1, 7, 3, 16, 16), "index": [0], "unrelated": torch.tensor([True])}
    with pytest.raises(ValueError, match="SpaceTimeUNet"):
        mcvd.MCVD(**vars_of(tiny_model(channels=3))).loss(batch)


def vars_of(model):
    return {"block": model.block, "size": model.size, "channels": model.channels}
