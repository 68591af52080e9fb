"""What fixes a score, in one process and in two, and which cards can be compared."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from reference.oracle import CLIPS, tiny_model
from reference.result_card import CARD
from reference.tiny import tiny_config

import mcvd
from mcvd.apps.cli.main import main
from mcvd.apps.cli.setup import choose_metric
from mcvd.evaluation import distances
from mcvd.evaluation.batch import SampledBatch
from mcvd.evaluation.distances import distribution_metrics
from mcvd.evaluation.evaluate import evaluate
from mcvd.evaluation.frame_metrics import frame_metrics
from mcvd.evaluation.protocols import PROTOCOLS, find_protocol
from mcvd.evaluation.result_card import Distance, ResultCard, differences
from mcvd.evaluation.scores import Scores
from mcvd.metrics.frame_metrics import PSNR, SSIM
from mcvd.metrics.published import PUBLISHED_BINARY_SSIM, PUBLISHED_PSNR
from mcvd.runtime.digests import digest
from mcvd.samplers import DDIM
from mcvd.video.write import write_video

OPTIONS = {"num_frames": 3, "num_samples": 2, "batch_size": 2, "sampler": DDIM(num_steps=1)}


COUNTS = (3, 1)  # clips: the second process has one of three, and none of one


def score(rank, meeting, folder):
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    for count in COUNTS:
        scores = evaluate(tiny_model(), CLIPS[:count], **OPTIONS)
        (folder / f"{rank}-{count}.json").write_text(json.dumps(scores.to_json()))
    torch.distributed.destroy_process_group()


def test_two_processes_score_as_one(tmp_path):
    meeting = f"file://{tmp_path}/meeting"
    other = torch.multiprocessing.get_context("spawn").Process(target=score, args=(1, meeting, tmp_path))
    other.start()
    score(0, meeting, tmp_path)  # this one takes part: a new process has to import everything, for seconds
    other.join()
    for count in COUNTS:
        files = (tmp_path / f"{rank}-{count}.json" for rank in range(2))
        first, second = (Scores.from_json(json.loads(file.read_text())) for file in files)
        assert first == second
        alone = evaluate(tiny_model(), CLIPS[:count], **OPTIONS)
        for name, row in alone.rows.items():
            shared = first.rows[name].scores
            assert shared["psnr"].per_clip == pytest.approx(row.scores["psnr"].per_clip, rel=1e-6)
            interval = row.scores["ssim"].interval  # one clip has none
            assert shared["ssim"].interval == (interval and pytest.approx(interval, rel=1e-6))
        assert first.ensemble.events == alone.ensemble.events
        for name in ("rank_histogram", "spread", "error"):
            shared, own = (getattr(scores.ensemble.calibration, name) for scores in (first, alone))
            assert shared == pytest.approx(own, rel=1e-9)


def write_ramps(folder):
    for number in range(3):
        ramp = (torch.arange(12)[:, None, None, None] * 9 + number * 3 + torch.arange(16)).to(torch.uint8)
        write_video(folder / f"{number}.mp4", ramp.expand(12, 3, 16, 16), fps=10)


def started_by_torchrun(rank, port):
    """What torchrun tells a process of two through the environment."""
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return {name: str(value) for name, value in names.items()} | {"TORCHELASTIC_RUN_ID": "test"}


def test_the_command_in_two_processes_writes_the_card_of_one(tmp_path, capsys, monkeypatch):
    videos, model, cards = tmp_path / "videos", tmp_path / "model", []
    videos.mkdir()
    write_ramps(videos)
    mcvd.build(tiny_config(channels=3)).save_pretrained(model)
    command = ["evaluate", "--model", str(model), "--val-root", str(videos), "--num-samples", "2", "--steps", "1"]
    command += ["--random-i3d", "0", "--batch-size", "2", "--num-frames", "8", "--num-clips", "3", "--device", "cpu"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for num_processes in (1, 2):
        out = tmp_path / f"{num_processes}.json"
        words = [*command, "--out", str(out)]
        if num_processes == 2:
            other = [sys.executable, "-m", "mcvd", *words]
            second = subprocess.Popen(other, env=os.environ | started_by_torchrun(1, port), stdout=subprocess.PIPE)
            for name, value in started_by_torchrun(0, port).items():
                monkeypatch.setenv(name, value)
        assert main(words) == 0, capsys.readouterr().err
        assert out.with_suffix(".html").is_file()
        cards.append(json.loads(out.read_text()))
    assert second.communicate()[0] == b"" and second.returncode == 0, "the first process alone tells the result"
    alone, shared = cards
    assert alone["data_digest"] == shared["data_digest"]
    assert shared["scores"]["rows"].keys() == alone["scores"]["rows"].keys()
    for name, row in alone["scores"]["rows"].items():
        assert shared["scores"]["rows"][name]["psnr_per_clip"] == pytest.approx(row["psnr_per_clip"], rel=1e-6)
    (_, first), (_, second) = (card["distances"] for card in cards)
    assert first["name"] == "random_i3d_distance" and first["num_fake"] == 2 * first["num_real"] == 6
    for key in ("value", "interval_95", "of_single_samples", "num_real", "num_fake"):
        assert second[key] == pytest.approx(first[key], rel=1e-6)


def measured(real, fake, *choices):
    """Distances between true videos (N, T, C, H, W) and one sample of each."""
    found = distribution_metrics(real.shape[1], *choices)
    for distance in found:
        distance.update(SampledBatch(0, real[:, :0], real, real[:, :0], fake[:, None], {}))
    return [distance.compute() for distance in found]


def test_fvd_without_weights_is_null_with_a_reason(tmp_path):
    videos = torch.randint(0, 256, (2, 10, 1, 16, 16), dtype=torch.uint8)
    (row,) = measured(videos, videos, str(tmp_path / "missing.pt"), None)
    assert row.name == "FVD" and row.value is None and "missing.pt" in row.reason
    assert row.to_json() == {"name": "FVD", "value": None, "reason": row.reason}


@pytest.mark.parametrize(
    ("shape", "reason"), [((2, 9), "needs 10 frames or more"), ((1, 10), "needs 2 videos or more")]
)
def test_too_little_for_a_distance_is_a_reason_too(shape, reason, monkeypatch):
    monkeypatch.setattr(distances, "random_i3d", lambda seed: Places())
    videos = torch.randint(0, 256, (*shape, 1, 16, 16), dtype=torch.uint8)
    assert [reason in row.reason for row in measured(videos, videos, None, 0)][1]


class Places(torch.nn.Module):
    """The brightness of 20 x 20 places, (1, 3, T, H, W) -> (1, 400)."""

    def forward(self, video):
        return torch.nn.functional.adaptive_avg_pool2d(video.mean((1, 2)), 20).flatten(1)


def test_the_preprocessing_of_a_protocol_reaches_the_distance(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    real, fake = (torch.randint(0, 256, (2, 10, 1, 16, 32), dtype=torch.uint8, generator=generator) for _ in range(2))
    cropped = find_protocol("mcvd-2022/kth-10-30")
    squashed = replace(cropped, preprocessing="stylegan-v")
    monkeypatch.setattr(distances, "random_i3d", lambda seed: Places())  # I3D itself would take half a minute
    rows = [measured(real, fake, "none.pt", 0, protocol)[1] for protocol in (None, cropped, squashed)]
    assert "only 2 real videos" in rows[0].cautions[0] and len(rows[0].cautions) == 2
    assert [row.preprocessing for row in rows] == ["mcvd", "mcvd", "stylegan-v"]
    assert rows[0].value == rows[1].value != rows[2].value


def test_metrics_that_cannot_be_had_are_told_with_the_reason():
    metrics, missing = frame_metrics(16, 20, None, None)
    assert [metric.name for metric in metrics] == ["psnr", "ssim"]
    assert "16x20 pixels are too small" in missing["MS-SSIM"] and "--lpips-weights" in missing["LPIPS"]
    metrics, missing = frame_metrics(64, 64, find_protocol("mcvd-2022/smmnist-5-10"), "nowhere.pth")
    assert [metric.name for metric in metrics] == ["psnr", "ssim", "ms_ssim"]
    assert "nowhere.pth" in missing["LPIPS"]
    pair = torch.randint(0, 256, (2, 1, 1, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert metrics[1].per_video(*pair) != SSIM.per_video(*pair), "moving digits are black and white for SSIM"
    assert [metric.definition[:9] for metric in metrics[:2]] == ["mcvd-2022"] * 2


@pytest.mark.parametrize("path", ["PSNR", "nowhere.METRIC", "mcvd.metrics.NOTHING", "mcvd.metrics.psnr"])
def test_a_metric_is_named_by_where_python_finds_it(path):
    assert choose_metric("mcvd.metrics.PSNR") is PSNR
    with pytest.raises(ValueError, match=f"--metric {path}"):
        choose_metric(path)


def test_a_digest_changes_with_every_byte_and_shape():
    a = torch.zeros(2, 3)
    assert digest({"a": a}) == digest({"a": a.clone()})
    assert len({digest({"a": a}), digest({"b": a}), digest({"a": a.T}), digest({"a": a + 1})}) == 4


def test_a_card_is_the_same_after_json():
    distance = Distance("FVD", 1.0, weights_digest="a", interval_95=(0.5, 1.5), of_single_samples=(1.0,), num_real=2)
    card = replace(CARD, distances=(distance, Distance("other", reason="offline")))
    assert ResultCard.from_json(json.loads(json.dumps(card.to_json(), allow_nan=False))) == card
    row = card.to_json()["scores"]["rows"]["best_of_K"]
    assert row["title"] == "model, best of 2" and not row["ranked"] and len(row["psnr_per_clip"]) == 3


def test_cards_differ_by_what_was_measured_but_not_by_what_is_compared():
    assert not differences(CARD, replace(CARD, scores=replace(CARD.scores, seed=2), model_digest="x"))
    other = replace(CARD, protocol={"name": "q", "seed": 0}, data_digest="2")
    assert set(differences(CARD, other)) == {"protocol.name", "data_digest"}


def test_scores_are_compared_where_both_cards_have_them_and_only_with_the_same_definition():
    def card(definition, **fvd):
        info = replace(PSNR, definition=definition).info
        return replace(CARD, scores=replace(CARD.scores, metrics={"psnr": info}), distances=(Distance("FVD", **fvd),))

    ours = card("rounded", value=1.0, weights_digest="a")
    assert not differences(ours, card("rounded", value=None, reason="offline"))
    assert differences(ours, card("mcvd-2022", value=2.0, weights_digest="b")) == {
        "psnr.definition": ("rounded", "mcvd-2022"),
        "FVD.weights_digest": ("a", "b"),
    }


def test_compare_exits_with_an_error_that_names_the_setting(tmp_path, capsys):
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    faster = replace(CARD, model="mine", scores=replace(CARD.scores, sampler="DDIM(num_steps=5)"))
    a.write_text(json.dumps(CARD.to_json()))
    b.write_text(json.dumps(faster.to_json()))
    assert main(["evaluate", "--compare", str(a), str(a)]) == 0
    assert "no setting differs" in capsys.readouterr().out
    assert main(["evaluate", "--compare", str(a), str(b)]) == 0
    out = capsys.readouterr().out
    assert "can be compared" in out and "model: 'theirs' and 'mine'" in out and "'DDIM(num_steps=5)'" in out
    b.write_text(json.dumps(replace(faster, data_digest="2").to_json()))
    assert main(["evaluate", "--compare", str(a), str(b)]) != 0
    error = capsys.readouterr().err
    assert "cannot be compared, they differ in data_digest: '1' and '2'. They also differ in" in error
    assert "sampler" in error


def test_a_folder_is_scored_whole_or_in_the_part_that_was_held_out(tmp_path, capsys):
    videos, model = tmp_path / "videos", tmp_path / "model"
    videos.mkdir()
    for number in range(12):
        write_video(videos / f"{number:02}.mp4", torch.full((5, 3, 16, 16), number * 20, dtype=torch.uint8), fps=10)
    mcvd.build(tiny_config(channels=3)).save_pretrained(model)
    common = ["evaluate", "--model", str(model), "--num-frames", "3", "--num-samples", "1", "--steps", "1"]
    counts = {}
    for option in ("--root", "--val-root"):
        out = tmp_path / f"{option}.json"
        assert main([*common, "--task", "generate", option, str(videos), "--out", str(out)]) == 0
        card = json.loads(out.read_text())
        counts[option] = card["scores"]["num_clips"]
        assert card["data"] == str(videos) and card["device"] == "cpu"
    assert counts["--val-root"] == 12 > counts["--root"]
    capsys.readouterr()
    command = [
        "evaluate",
        "--model",
        str(model),
        "--protocol",
        "mcvd-2022/kth-10-30",
        "--out",
        str(tmp_path / "c.json"),
    ]
    assert main([*command, "--root", str(videos)]) == 2
    assert "--val-root" in capsys.readouterr().err


def test_a_published_protocol_is_scored_by_its_definitions_and_says_what_it_lacks(tmp_path, monkeypatch, capsys):
    videos, model, out = tmp_path / "videos", tmp_path / "model", tmp_path / "card.json"
    videos.mkdir()
    write_ramps(videos)
    mcvd.build(tiny_config(channels=3)).save_pretrained(model)
    small = {"size": (16, 16), "past": 2, "num_frames": 8, "num_clips": 2, "num_samples": 2}
    monkeypatch.setitem(PROTOCOLS, "small", replace(find_protocol("mcvd-2022/smmnist-5-10"), name="small", **small))
    command = ["evaluate", "--model", str(model), "--val-root", str(videos), "--protocol", "small", "--out", str(out)]
    unknown = tmp_path / "unknown.pt"
    unknown.write_bytes(b"weights of something")
    assert main([*command, "--steps", "1", "--weights", str(unknown), "--lpips-weights", str(unknown)]) == 0
    card = json.loads(out.read_text())
    definitions = {name: metric["definition"] for name, metric in card["scores"]["metrics"].items()}
    assert definitions == {metric.name: metric.definition for metric in (PUBLISHED_PSNR, PUBLISHED_BINARY_SSIM)}
    assert card["protocol"]["frame_metrics"] == "mcvd-2022" and card["protocol"]["binary_ssim"]
    assert "unknown.pt" in card["missing"]["LPIPS"]
    ((name, value, reason),) = [row.values() for row in card["distances"]]
    assert (name, value) == ("FVD", None) and "unknown.pt" in reason
    assert "unknown.pt is none of the known files of I3D weights" in capsys.readouterr().out
    page = out.with_suffix(".html").read_text()
    assert PUBLISHED_PSNR.definition in page and "FVD has no value" in page and card["model_digest"] in page
