"""Feeds damaged and hostile files to everything in mcvd that opens a file, each in a process of its own.

    python tools/assurance/fuzz.py --num-inputs 500 [--seed 0] [--videos FOLDER] [--keep FOLDER]

A failure is: a crash, more than 10 seconds of work (or 100 without any), more than 1 GiB of memory beyond what the
process began with, or an exception that is neither a ValueError nor an OSError, or whose message is empty or longer
than a screen. Exits with 1 if there was one. The same seed makes the same inputs.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import io
import os
import random
import re
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch

from reference.fuzz_targets import Target, targets
from reference.structures import with_other_structure

MAX_SECONDS = 10.0  # of work, which other programs on the machine do not lengthen
MAX_WAIT_SECONDS = 100.0  # for a process that does not even work
WORKS_SECONDS = 0.2  # in that time, of a process that does
MAX_BYTES = 1 << 30
MAX_MESSAGE = 2000
PER_PROCESS = 25
STRUCTURED = ("config.json", "model.safetensors", "card.json", "data.yaml", "fit.yaml", "last.ckpt")
NUMBER = re.compile(rb"(?<![\w.])-?\d+(\.\d+)?(e-?\d+)?")
NUMBERS = (b"0", b"-1", b"3", b"1e308", b"1000000000", b"2147483648", b"9223372036854775808", b"NaN", b"1e-320")
VALUES = (
    *NUMBERS,
    b"null",
    b'"x"',
    b"[]",
    b"{}",
    b"true",
    b'"mcvd.apps.cli.main.main"',
    b'"os.system"',
    b"[[1, 2], 3]",
)


@dataclasses.dataclass(frozen=True)
class Case:
    """One input: a target, the file of it that is damaged, and the key of the draw that damages it."""

    target: Target
    victim: str
    key: str


def damaged(data: bytes, name: str, draw: random.Random) -> bytes:
    """A file's bytes with one to eight changes; what is text, an archive or a structure is changed as such too."""
    if name in STRUCTURED and draw.random() < 0.6:
        return with_other_structure(data, name, draw)
    if name.endswith((".json", ".yml", ".yaml")) and draw.random() < 0.8:
        return _with_other_values(data, draw)
    if name.endswith((".ckpt", ".pt")) and draw.random() < 0.7:
        return _with_other_member(data, draw)
    return _with_other_bytes(data, draw)


def _with_other_bytes(data: bytes, draw: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 3, 5, 8))):
        size = len(out)
        if not size:
            break
        head, tail = min(4096, size), max(0, size - 4096)
        at = draw.choice((draw.randrange(size), draw.randrange(head), draw.randrange(tail, size)))
        kind = draw.randrange(6)
        if kind == 0:
            out[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            out[at] = draw.choice((0, 1, 127, 128, 255, draw.randrange(256)))
        elif kind == 2:
            number = draw.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, draw.getrandbits(32)))
            out[at : at + 4] = number.to_bytes(4, draw.choice(("big", "little")))
        elif kind == 3:
            del out[at : at + draw.choice((1, 4, 64, 1024))]
        elif kind == 4:
            chunk = out[at : at + draw.choice((1, 4, 64, 1024))]
            out[at:at] = chunk * draw.choice((1, 1, 16))
        elif draw.random() < 0.3:
            del out[at:]
    return bytes(out)


def _with_other_values(data: bytes, draw: random.Random) -> bytes:
    for _ in range(draw.choice((1, 1, 2, 4))):
        found = list(NUMBER.finditer(data))
        if draw.random() < 0.7 and found:
            place = draw.choice(found)
            data = data[: place.start()] + draw.choice(VALUES) + data[place.end() :]
        else:
            lines = data.split(b"\n")
            at = draw.randrange(len(lines))
            lines[at : at + 1] = draw.choice(
                ([], [lines[at]] * 2, [lines[at].replace(b"mcvd", b"os")], [b"!!python/x"])
            )
            data = b"\n".join(lines)
    return data


def _with_other_member(data: bytes, draw: random.Random) -> bytes:
    """An archive whose directory and checksums are right, and whose pickle (mostly) or tensors are not."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as sink:
        members = {name: source.read(name) for name in source.namelist()}
        pickles = [name for name in members if name.endswith("data.pkl")]
        victim = draw.choice(pickles) if draw.random() < 0.8 else draw.choice(sorted(members))
        squeezed = draw.random() < 0.1
        for name, content in members.items():
            changed = _with_other_bytes(content, draw) if name == victim else content
            sink.writestr(name, changed, zipfile.ZIP_DEFLATED if squeezed else zipfile.ZIP_STORED)
    return out.getvalue()


def fates(cases: list[Case], scratch: Path) -> Iterator[str]:
    """What becomes of each damaged file, in turn: "read", "refused: ..." or, a failure, "FAILED: ..."."""
    done = 0
    while done < len(cases):
        receiver, sender = os.pipe()
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                _serve(cases[done : done + PER_PROCESS], scratch, sender)
            os._exit(0)
        os.close(sender)
        fault = ""
        with os.fdopen(receiver, "rb", buffering=0) as lines:
            for _ in cases[done : done + PER_PROCESS]:
                ready = _is_answer_there(lines, child)
                said = lines.readline().decode() if ready else ""
                if not said:
                    fault = "the process ended" if ready else "no answer and no end of it"
                    break
                done += 1
                yield said.strip()
        if fault:
            os.kill(child, signal.SIGKILL)
        _, status, _ = os.wait4(child, 0)
        if fault:
            done += 1
            yield f"FAILED: {fault}, status {status}"


def _is_answer_there(lines: io.RawIOBase, child: int) -> bool:
    """Wait for a line: as long as the process works, and has not worked too long; a busy machine proves nothing."""
    begin = worked = _worked_seconds(child)
    while not select.select([lines], [], [], MAX_WAIT_SECONDS)[0]:
        before, worked = worked, _worked_seconds(child)
        if worked - before < WORKS_SECONDS or worked - begin > 2 * MAX_SECONDS:
            return False
    return True


def _worked_seconds(process: int) -> float:
    """Seconds of work of a process so far, from the fields utime and stime of proc(5)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def _serve(cases: list[Case], scratch: Path, sender: int) -> None:
    """In a process of its own, whose memory is limited: one line for each case."""
    for number in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    begin = _status_bytes("VmRSS")
    limit = _status_bytes("VmSize") + MAX_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for case in cases:
        folder, began = _write(case, scratch), time.process_time()
        said = _outcome(case, folder)
        worked = time.process_time() - began
        if worked > MAX_SECONDS:
            said = f"FAILED: {worked:.0f} s of work"
        taken = _status_bytes("VmHWM") - begin
        if taken > MAX_BYTES:
            said = f"FAILED: {taken >> 20} MiB of memory"
        os.write(sender, " ".join(said.split()).encode(errors="replace") + b"\n")


def _outcome(case: Case, folder: Path) -> str:
    try:
        case.target.read(folder, case.victim)
    except (ValueError, OSError) as error:
        text = str(error).strip()
        if not text or len(text) > MAX_MESSAGE:
            return f"FAILED: message of {type(error).__name__} has {len(text)} characters: {text[:200]}"
        return f"refused: {type(error).__name__}"
    except BaseException as error:
        return f"FAILED: {type(error).__name__}: {str(error)[:300]}"
    return "read"


def _write(case: Case, scratch: Path) -> Path:
    """The folder of the case, its victim damaged."""
    folder = scratch / "input"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = case.target.files
    for name in [case.victim] if case.target.name == "video" else [path.name for path in files.iterdir()]:
        shutil.copyfile(files / name, folder / name)
    draw = random.Random(case.key)
    (folder / case.victim).write_bytes(damaged((files / case.victim).read_bytes(), case.victim, draw))
    return folder


def _status_bytes(entry: str) -> int:
    return int(re.search(rf"{entry}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) << 10


def cases_of(rows: list[Target], num_inputs: int, seed: int) -> list[Case]:
    """Which file of which target is damaged, and the key of the draw that damages it."""
    found = []
    for number in range(num_inputs):
        draw = random.Random(f"{seed}/{number}/which")
        target = draw.choices(rows, [row.weight for row in rows])[0]
        found.append(Case(target, draw.choice(target.victims), f"{seed}/{number}"))
    return found


def until_interrupted(found: Iterator) -> Iterator:
    """What an iterator gives, up to Ctrl-C or SIGTERM: a long run that is stopped still has its table."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # in the background of a shell SIGINT is ignored
    with contextlib.suppress(KeyboardInterrupt):
        yield from found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-inputs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--videos", type=Path, help="whole and odd videos to damage; a few are made otherwise")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="of the rows of the report; default: all")
    parser.add_argument("--keep", type=Path, help="folder for the inputs that failed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        rows = [row for row in targets(scratch, options.videos) if options.only is None or row.name in options.only]
        cases = cases_of(rows, options.num_inputs, options.seed)
        for case, said in until_interrupted(zip(cases, fates(cases, scratch), strict=True)):
            counts[case.target.name][said.split(":")[0]] += 1
            if said.startswith("FAILED"):
                print(f"input {case.key}, {case.target.name}, {case.victim}: {said}", flush=True)
                if options.keep:
                    _write(case, options.keep / case.key.replace("/", "-"))
    print("\n| what is opened | inputs | read | refused | failed |\n|---|---|---|---|---|")
    for name, count in counts.items():
        print(f"| {name} | {count.total()} | {count['read']} | {count['refused']} | {count['FAILED']} |")
    print(f"{time.monotonic() - began:.0f} s, seed {options.seed}")
    return int(any(count["FAILED"] for count in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
