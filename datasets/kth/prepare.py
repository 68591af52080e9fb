"""KTH actions: zips of videos -> packs of 64x64 grey frames, one per person."""

import sys
from functools import partial

from einops import rearrange
from torch.nn.functional import interpolate

from mcvd.data.prepare.archive import unpack
from mcvd.data.prepare.cli import run
from mcvd.data.prepare.packs import Pack
from mcvd.runtime.download import Download, fetch
from mcvd.video.open import open_video
from mcvd.video.transforms import to_channels

ACTIONS = ("boxing", "handclapping", "handwaving", "jogging", "running", "walking")
PERSONS, TRAIN_PERSONS = range(1, 26), range(1, 21)
BYTES_A_PERSON = 50_000_000  # 24 videos of about 500 frames of 64x64


def find_packs(raw):
    files = []
    for action in ACTIONS:
        if not (raw / action).is_dir():
            source = Download((f"http://www.csc.kth.se/cvap/actions/{action}.zip",))
            unpack(fetch(source, raw), raw / action)
        files += sorted((raw / action).rglob("person*_*_d*.avi"))
    packs = []
    for person in PERSONS:
        own = [file for file in files if file.name.startswith(f"person{person:02}_")]
        if not own:
            raise ValueError(f"{raw}: no video of person {person}; six folders expected: {', '.join(ACTIONS)}")
        side = "train" if person in TRAIN_PERSONS else "test"
        packs.append(Pack(f"{side}/person{person:02}", BYTES_A_PERSON, partial(videos, own)))
    return packs


def videos(files):
    for file in files:
        with open_video(file) as reader:
            grey = to_channels(reader.read(range(reader.num_frames)), 1)
        # The full frame, aspect ratio not kept, not smoothed first, as in the literature.
        small = (interpolate(grey.float(), size=(64, 64), mode="bilinear") + 0.5).byte()
        yield file.name, rearrange(small, "t c h w -> t h w c").numpy()


if __name__ == "__main__":
    sys.exit(run("kth", 25, find_packs, "the six zips, or folders of their videos; fetched if missing"))
