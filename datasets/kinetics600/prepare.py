"""Kinetics-600: tar.gz files of clips -> a folder of videos for each of them."""

import json
import sys

from tqdm import tqdm

from mcvd.data.prepare.archive import unpack
from mcvd.data.prepare.cli import run_prepare
from mcvd.data.prepare.packs import RECORD
from mcvd.runtime.atomic import write_json
from mcvd.runtime.disk import check_free_space

SIDES = ("train", "val")


def prepare(raw, out):
    archives = {}
    for side in SIDES:
        found = sorted((raw / side).glob("*.tar.gz"))
        if not found:
            raise FileNotFoundError(
                f"no .tar.gz in {raw / side}: fetch Kinetics-600 with "
                "https://github.com/cvdfoundation/kinetics-dataset (k600_downloader.sh) and name its folder with --raw"
            )
        archives |= {file: out / side / file.name.removesuffix(".tar.gz") for file in found}
    record = out / RECORD
    facts = {f"{file.parent.name}/{file.name}": file.stat().st_size for file in archives}
    if record.exists() and json.loads(record.read_text()) == facts:
        return f"{out} is prepared, there is nothing to do"
    missing = {file: folder for file, folder in archives.items() if not folder.is_dir()}
    check_free_space(out, round(1.02 * sum(file.stat().st_size for file in missing)))  # videos do not compress further
    for file, folder in tqdm(missing.items(), f"Preparing {out}", disable=None):
        unpack(file, folder)
    empty = [folder for folder in archives.values() if not any(folder.rglob("*.mp4"))]
    if empty:
        raise ValueError(f"{empty[0]} holds no .mp4; delete it and fetch its archive again")
    write_json(record, facts)
    return f"{out}: {len(archives)} archives are unpacked"


if __name__ == "__main__":
    sys.exit(run_prepare("kinetics600", prepare, "train/ and val/ of .tar.gz"))
