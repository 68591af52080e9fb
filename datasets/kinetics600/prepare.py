"""Kinetics-600: tar.gz files of clips -> a folder of videos for each of them."""

import argparse
import json
import sys
from pathlib import Path

from tqdm import tqdm

from mcvd.data.preparing import RECORD, check_room, unpack
from mcvd.whole import whole

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
        return False
    missing = {file: folder for file, folder in archives.items() if not folder.is_dir()}
    check_room(out, round(1.02 * sum(file.stat().st_size for file in missing)))  # videos do not compress further
    for file, folder in tqdm(missing.items(), f"Preparing {out}", disable=None):
        unpack(file, folder)
    empty = [folder for folder in archives.values() if not any(folder.rglob("*.mp4"))]
    if empty:
        raise ValueError(f"{empty[0]} holds no .mp4; delete it and fetch its archive again")
    with whole(record) as part:
        part.write_text(json.dumps(facts, indent=1) + "\n")
    return True


def main(argv=None):
    parser = argparse.ArgumentParser(description="Unpack Kinetics-600; run again to go on.")
    parser.add_argument("--raw", type=Path, default=Path("data/raw/kinetics600"), help="train/ and val/ of .tar.gz")
    parser.add_argument("--out", type=Path, default=Path("data/kinetics600"), help="default: %(default)s")
    options = parser.parse_args(argv)
    try:
        new = prepare(options.raw, options.out)
    except (ValueError, OSError) as error:
        print(f"prepare.py: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(f"{options.out} is prepared" + ("" if new else ", there is nothing to do"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
