"""Captions beside videos: encoded once by an encoder in a folder, kept as vectors, and told in words."""

import json
import sys

import numpy as np
import pytest
import torch
from reference.grey_videos import write_frames, write_video
from reference.tiny import tiny_config

import mcvd
from mcvd.apps.cli.main import main
from mcvd.data.signals.captions import encode_captions
from mcvd.data.signals.text_encoder import TextEncoder
from mcvd.data.sources.folder import VideoFolder
from mcvd.data.videos import SignalsError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "car", "turns", "left", "right"]


@pytest.fixture
def films(tmp_path):
    for name in ("a", "b"):
        write_video(tmp_path / f"films/{name}.mp4")
    write_frames(tmp_path / "films/c", 4)
    (tmp_path / "films/a.caption.txt").write_text("a car\nturns left")
    (tmp_path / "films/b.txt").write_text("right")
    (tmp_path / "films/c/caption.txt").write_text("a car turns left")
    np.savez(tmp_path / "films/a.npz", mood=np.ones(3))
    return tmp_path / "films"


def counting(width=5):
    """Stands for an encoder, and remembers what it was asked."""
    asked = []

    def encode(texts):
        asked.extend(texts)
        return np.array([[len(text), *range(1, width)] for text in texts], np.float64)

    return encode, asked


def test_each_caption_is_encoded_once_and_kept_beside_its_video(films):
    encode, asked = counting()
    assert encode_captions(films, encode, "one") == (3, 3, 5)
    assert sorted(asked) == ["a car turns left", "right"]
    videos = VideoFolder(films)
    for index in range(3):
        told = videos.signals(index, ["text[5]"])
        assert told.dtype == np.float32 and told.shape == (len(videos.times_seconds(index)), 5)
        assert (told[:, 0] == (5 if videos.name(index).startswith("b") else 16)).all()
        assert "text[5]" in videos.signal_names(index)
    assert (videos.signals(0, ["mood[3]"]) == 1).all()
    before = (films / "a.npz").read_bytes()
    assert encode_captions(films, encode, "one") == (3, 0, 5) and len(asked) == 2
    assert (films / "a.npz").read_bytes() == before
    (films / "b.txt").write_text("left")
    assert encode_captions(films, encode, "one") == (3, 1, 5) and asked[2:] == ["left"]
    assert encode_captions(films, counting(7)[0], "another") == (3, 3, 7)


def test_nothing_is_written_where_a_caption_is_missing_or_none(films):
    (films / "b.txt").unlink()
    with pytest.raises(SignalsError, match=r"1 of 3 videos have no caption, such as b\.mp4"):
        encode_captions(films, counting()[0], "one")
    (films / "b.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SignalsError, match=r"b\.txt: no text"):
        encode_captions(films, counting()[0], "one")
    (films / "b.caption.txt").write_text("x" * 6000)
    with pytest.raises(SignalsError, match="6000 letters"):
        encode_captions(films, counting()[0], "one")
    assert not (films / "b.npz").exists() and not (films / "c/signals.npz").exists()


def test_without_the_package_the_message_says_how_to_get_it(films, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert main(["data", "encode-text", str(films), "--encoder", str(tmp_path)]) == 1
    assert "pip install 'mcvd[text]'" in capsys.readouterr().err
    with pytest.raises(ModuleNotFoundError, match="texts need transformers"):
        TextEncoder(tmp_path)


@pytest.fixture
def encoder(tmp_path):
    """A tiny encoder in a folder, as transformers writes it."""
    transformers = pytest.importorskip("transformers", reason="the extra mcvd[text]")
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    tokenizer = transformers.BertTokenizerFast(vocab_file=str(folder / "vocab.txt"), model_max_length=16)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=16, **sizes)
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def test_a_folder_of_transformers_encodes_texts(encoder):
    encode = TextEncoder(encoder)
    both = encode(["a car turns left", "right"])
    assert both.dtype == np.float32 and both.shape == (2, 8)
    np.testing.assert_allclose(np.linalg.norm(both, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(encode("right"), both[1], atol=1e-5)  # whatever is beside it
    assert np.abs(both[0] - both[1]).max() > 1e-3
    (encoder / "1_Pooling").mkdir()
    (encoder / "1_Pooling/config.json").write_text(
        '{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}'
    )
    assert np.abs(TextEncoder(encoder)("right") - both[1]).max() > 1e-3
    (encoder / "1_Pooling/config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(ValueError, match="only mean and cls are known, got max"):
        TextEncoder(encoder)
    with pytest.raises(ValueError, match="an empty text"):
        encode("  ")


def test_what_is_no_encoder_is_refused(encoder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        TextEncoder(tmp_path)
    (encoder / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(ValueError, match="no text encoder that can be read") as refusal:
        TextEncoder(encoder)
    assert "\n" not in str(refusal.value)


def test_words_are_told_on_the_command_line(films, encoder, tmp_path, capsys):
    assert main(["data", "encode-text", str(films), "--encoder", str(encoder), "--json"]) == 0
    told = capsys.readouterr()
    assert "names [text[8]]" in told.err
    assert json.loads(told.out) == {"out": str(films), "num_videos": 3, "num_new": 3, "signal": "text[8]"}
    config = tiny_config(channels=3) | {"signals": {"names": ["text[8]"]}}
    config["net"]["init_args"]["num_signals"] = 8
    config["masking"]["p_signals"] = 0.2
    torch.manual_seed(0)
    model = mcvd.build(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(tmp_path / "model")
    words = ["generate", "--model", str(tmp_path / "model"), "--num-frames", "3", "--steps", "1", "--device", "cpu"]
    for name, text in {"left": "a car turns left", "right": "right"}.items():
        told = ["--text", text, "--text-encoder", str(encoder)]
        assert main([*words, "--out", str(tmp_path / f"{name}.png"), *told]) == 0
    assert (tmp_path / "left.png").read_bytes() != (tmp_path / "right.png").read_bytes()
    assert main([*words, "--out", str(tmp_path / "no.png"), "--text", "left"]) == 2
    assert "--text-encoder FOLDER" in capsys.readouterr().err
