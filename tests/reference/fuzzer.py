"""Feeds damaged and hostile files to everything in mcvd that opens a file, each in a process of its own.

    python tools/assurance/fuzz.py --num-inputs 500 [--seed 0] [--videos FOLDER] [--keep FOLDER] [--log fuzz.jsonl]

A failure is: a crash, more than 10 seconds of work (or 100 without any), more than 1 GiB of memory beyond what the
process began with, or an exception that is neither a ValueError nor an OSError, or whose message is empty or longer
than a screen. Exits with 1 if there was one. The same seed makes the same inputs, and a run with a log goes on where it
was stopped.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import functools
import io
import json
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
PER_PROCESS = 200
PER_LINE = 1000  # of the log
FATES = ("read", "refused", "FAILED")
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
    begin, places = _status_bytes("VmRSS"), Places(scratch)
    limit = _status_bytes("VmSize") + MAX_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for case in cases:
        folder, began = places.write(case), time.process_time()
        said = outcome(case, folder)
        worked = time.process_time() - began
        if worked > MAX_SECONDS:
            said = f"FAILED: {worked:.0f} s of work"
        taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10) - begin
        if taken > MAX_BYTES:
            said = f"FAILED: {taken >> 20} MiB of memory"
            Path("/proc/self/clear_refs").write_text("5")  # forgets the most, see proc(5): the next cases are innocent
        os.write(sender, " ".join(said.split()).encode(errors="replace") + b"\n")


def outcome(case: Case, folder: Path) -> str:
    """What becomes of a damaged file: as `fates` tells it."""
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


class Places:
    """A folder for each target, in which one file is damaged at a time.

    Args:
        scratch: where they are made.
    """

    def __init__(self, scratch: Path):
        self._scratch = scratch
        self._damaged: dict[str, str] = {}  # of each target, the file that is not whole

    def write(self, case: Case) -> Path:
        """The folder of the case, its victim damaged and all others whole."""
        files, folder = case.target.files, self._scratch / case.target.name
        if case.target.name not in self._damaged:
            shutil.rmtree(folder, ignore_errors=True)  # of the process before
            folder.mkdir(parents=True)
            for path in () if case.target.is_alone else files.iterdir():
                shutil.copyfile(path, folder / path.name)
        last = self._damaged.get(case.target.name, case.victim)
        if last != case.victim:
            (folder / last).unlink(missing_ok=True)
            if not case.target.is_alone:
                shutil.copyfile(files / last, folder / last)
        self._damaged[case.target.name] = case.victim
        content = damaged(_content(files / case.victim), case.victim, random.Random(case.key))
        (folder / case.victim).write_bytes(content)
        return folder


@functools.lru_cache(200)
def _content(path: Path) -> bytes:
    return path.read_bytes()


def _status_bytes(entry: str) -> int:
    return int(re.search(rf"{entry}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) << 10


def cases_of(rows: list[Target], numbers: range, seed: int) -> list[Case]:
    """Which file of which target is damaged, and the key of the draw that damages it."""
    found = []
    for number in numbers:
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


def lines_of(rows: list[Target], numbers: range, seed: int, scratch: Path, keep: Path | None) -> Iterator[dict]:
    """Try the inputs of these numbers; a line of the log for every `PER_LINE` of them.

    Args:
        rows: the targets.
        numbers: of the inputs.
        seed: of the run.
        scratch: a folder to work in.
        keep: a folder for the inputs that failed.
    """
    for first in range(numbers.start, numbers.stop, PER_LINE):
        some = range(first, min(first + PER_LINE, numbers.stop))
        cases, began = cases_of(rows, some, seed), _seconds_of_work()
        counts: dict[str, dict[str, int]] = collections.defaultdict(lambda: dict.fromkeys(FATES, 0))
        for case, said in zip(cases, fates(cases, scratch / "inputs"), strict=True):
            counts[case.target.name][said.split(":")[0]] += 1
            if said.startswith("FAILED"):
                print(f"input {case.key}, {case.target.name}, {case.victim}: {said}", flush=True)
                if keep:
                    Places(keep / case.key.replace("/", "-")).write(case)
        yield {"seed": seed, "next": some.stop, "seconds": round(_seconds_of_work() - began, 1), "counts": counts}


def _seconds_of_work() -> float:
    """Of this process and those that have ended."""
    return sum(os.times()[:4])


def table(lines: list[dict]) -> str:
    """The counts of a log, in Markdown."""
    sums: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for line in lines:
        for name, count in line["counts"].items():
            sums[name].update(count)
            sums["**all**"].update(count)
    out = ["| what is opened | inputs | read | refused | failed |", "|---|---|---|---|---|"]
    for name, count in sorted(sums.items(), key=lambda row: -row[1].total()):
        out.append(f"| {name} | {count.total()} | {count['read']} | {count['refused']} | {count['FAILED']} |")
    return "\n".join(out)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-inputs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--videos", type=Path, help="whole and odd videos to damage; a few are made otherwise")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="of the rows of the report; default: all")
    parser.add_argument("--keep", type=Path, help="folder for the inputs that failed")
    parser.add_argument("--log", type=Path, help="lines of JSON with counts; one that is there goes on")
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.monotonic()
    lines = [json.loads(line) for line in options.log.read_text().splitlines()] if _is_there(options.log) else []
    begin = max((line["next"] for line in lines if line["seed"] == options.seed), default=0)
    memory = Path("/dev/shm")  # where files cost no disk
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        scratch = Path(folder)
        rows = [row for row in targets(scratch, options.videos) if options.only is None or row.name in options.only]
        numbers = range(begin, options.num_inputs)
        for line in until_interrupted(lines_of(rows, numbers, options.seed, scratch, options.keep)):
            lines.append(line)
            if options.log:
                with options.log.open("a") as out:
                    print(json.dumps(line), file=out)
    print(f"\n{table(lines)}\n{time.monotonic() - began:.0f} s, seed {options.seed}")
    return int(any(count["FAILED"] for line in lines for count in line["counts"].values()))


def _is_there(path: Path | None) -> bool:
    return path is not None and path.exists()


if __name__ == "__main__":
    sys.exit(main())
