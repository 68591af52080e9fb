"""Feeds damaged and hostile files to everything in mcvd that opens a file: the door to `tests/reference/fuzzer.py`.

python tools/assurance/fuzz.py --num-inputs 500 [--seed 0] [--videos FOLDER] [--keep FOLDER]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from reference.fuzzer import main

if __name__ == "__main__":
    sys.exit(main())
