import json
import socket
import warnings
from dataclasses import replace

import pytest
import torch
from test_evaluate import CLIPS, tiny_model
from tiny import tiny_config

import mcvd
from mcvd.card import digest, distance_rows, frame_metrics
from mcvd.cli import main
from mcvd.compare import differences
from mcvd.data.writers import write_video
from mcvd.evaluate import evaluate
from mcvd.metrics.frame_metrics import SSIM
from mcvd.protocols import find_protocol
from mcvd.samplers import DDIM

OPTIONS = {"num_frames": 3, "num_samples": 2, "batch_size": 2, "sampler": DDIM(num_steps=1)}
CARD = {"protocol": {"name": "p", "seed": 0}, "data_digest": "1", "scores": {"num_samples": 10, "seed": 1}}


def score(rank, port, folder):
    address = f"tcp://127.0.0.1:{port}"
    torch.distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    scores = evaluate(tiny_model(), CLIPS, **OPTIONS)
    torch.distributed.destroy_process_group()
    (folder / f"{rank}.json").write_text(json.dumps(scores))


def test_two_processes_score_as_one(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(score, (port, tmp_path), nprocs=2)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first == second
    alone = evaluate(tiny_model(), CLIPS, **OPTIONS)
    for name, row in alone["rows"].items():
        assert first["rows"][name]["psnr_per_clip"] == pytest.approx(row["psnr_per_clip"], rel=1e-6)
        assert first["rows"][name]["ssim_interval"] == pytest.approx(row["ssim_interval"], rel=1e-6)


def write_ramps(folder):
    for number in range(40):
        ramp = (torch.arange(12)[:, None, None, None] * 9 + number * 3 + torch.arange(16)).to(torch.uint8)
        write_video(folder / f"{number}.mp4", ramp.expand(12, 3, 16, 16), fps=10)


@pytest.mark.parametrize("task", ["predict", "generate"])
def test_the_command_in_two_processes_writes_the_card_of_one(tmp_path, task, capsys):
    videos, model, cards = tmp_path / "videos", tmp_path / "model", []
    videos.mkdir()
    write_ramps(videos)
    mcvd.build(tiny_config(channels=3)).save_pretrained(model)
    options = ["--root", str(videos), "--task", task, "--num-samples", "2", "--steps", "1", "--random-i3d", "0"]
    options += ["--batch-size", "4", "--num-frames", "10" if task == "generate" else "8", "--num-clips", "5"]
    for processes in ("1", "2"):
        out = tmp_path / f"{processes}.json"
        command = ["evaluate", "--model", str(model), "--out", str(out), "--processes", processes, *options]
        assert main(command) == 0, capsys.readouterr().err
        assert out.with_suffix(".html").is_file()
        cards.append(json.loads(out.read_text()))
    alone, shared = cards
    assert alone["data_digest"] == shared["data_digest"]
    assert shared["scores"]["rows"].keys() == alone["scores"]["rows"].keys()
    for name, row in alone["scores"]["rows"].items():
        assert shared["scores"]["rows"][name]["psnr_per_clip"] == pytest.approx(row["psnr_per_clip"], rel=1e-6)
    (_, first), (_, second) = (card["distances"] for card in cards)
    assert first["name"] == "random_i3d_distance" and first["num_fake"] == 2 * first["num_real"] > 2
    for key in ("value", "interval_95", "num_real", "num_fake"):
        assert second[key] == pytest.approx(first[key], rel=1e-6)


def test_an_error_in_one_of_several_processes_is_the_error_of_the_command(tmp_path, capsys):
    out = str(tmp_path / "a.json")
    assert main(["evaluate", "--protocol", "nonsense", "--out", out, "--processes", "2"]) == 2
    assert capsys.readouterr().err.startswith("mcvd: --protocol nonsense: there is none of this name")


def test_fvd_without_weights_is_null_with_a_reason(tmp_path):
    videos = torch.randint(0, 256, (2, 10, 1, 16, 16), dtype=torch.uint8)
    rows = distance_rows(dict(enumerate(zip(videos, videos[:, None], strict=True))), str(tmp_path / "missing.pt"), None)
    assert [row["name"] for row in rows] == ["FVD"]
    assert rows[0]["value"] is None and "missing.pt" in rows[0]["reason"]


def test_the_preprocessing_of_a_protocol_reaches_the_distance():
    generator = torch.Generator().manual_seed(0)
    real, fake = (torch.randint(0, 256, (2, 10, 1, 16, 32), dtype=torch.uint8, generator=generator) for _ in range(2))
    cropped = find_protocol("mcvd-2022/kth-10-30")
    squashed = replace(cropped, preprocessing="stylegan-v")
    videos = dict(enumerate(zip(real, fake[:, None], strict=True)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = [distance_rows(videos, "none.pt", 0, protocol)[1] for protocol in (None, cropped, squashed)]
    assert [row["preprocessing"] for row in rows] == ["mcvd", "mcvd", "stylegan-v"]
    assert rows[0]["value"] == rows[1]["value"] != rows[2]["value"]


def test_metrics_that_cannot_be_had_are_told_with_the_reason():
    metrics, missing = frame_metrics(16, 20, None, None)
    assert [metric.name for metric in metrics] == ["psnr", "ssim"]
    assert "20x16 pixels are too small" in missing["MS-SSIM"] and "--lpips-weights" in missing["LPIPS"]
    metrics, missing = frame_metrics(64, 64, find_protocol("mcvd-2022/smmnist-5-10"), "nowhere.pth")
    assert [metric.name for metric in metrics] == ["psnr", "ssim", "ms_ssim"]
    assert "nowhere.pth" in missing["LPIPS"]
    pair = torch.randint(0, 256, (2, 1, 1, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert metrics[1].per_video(*pair) != SSIM.per_video(*pair), "moving digits are black and white for SSIM"


def test_a_digest_changes_with_every_byte_and_shape():
    a = torch.zeros(2, 3)
    assert digest({"a": a}) == digest({"a": a.clone()})
    assert len({digest({"a": a}), digest({"b": a}), digest({"a": a.T}), digest({"a": a + 1})}) == 4


def test_cards_differ_by_what_was_measured_but_not_by_what_is_compared():
    assert not differences(CARD, CARD | {"scores": {"num_samples": 10, "seed": 2}, "model_digest": "x"})
    other = CARD | {"protocol": {"name": "q", "seed": 0}, "data_digest": "2"}
    assert set(differences(CARD, other)) == {"protocol.name", "data_digest"}


def test_compare_exits_with_an_error_that_names_the_setting(tmp_path, capsys):
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    a.write_text(json.dumps(CARD))
    b.write_text(json.dumps(CARD | {"data_digest": "2"}))
    assert main(["evaluate", "--compare", str(a), str(a)]) == 0
    assert main(["evaluate", "--compare", str(a), str(b)]) != 0
    assert "data_digest" in capsys.readouterr().err
