"""A result card of anybody: what is none is refused by name, and its text is never read as Markdown or HTML."""

import copy
import json

import pytest
from markdown_it import MarkdownIt
from reference.result_card import CARD
from reference.tiny import tiny_model

from mcvd.apps.cli.main import main
from mcvd.evaluation.report import card_page
from mcvd.evaluation.result_card import ResultCard, read_card
from mcvd.models.result_json import MAX_BYTES, checked_result, read_result
from mcvd.runtime.markdown import as_code, escaped


@pytest.fixture
def whole():
    return json.loads(json.dumps(CARD.to_json()))


def put(card, place, value):
    """The card with a value in its place; `DELETE` takes the place away."""
    card = copy.deepcopy(card)
    *parents, last = place.split(".")
    inner = card
    for name in parents:
        inner = inner[int(name) if isinstance(inner, list) else name]
    if value == DELETE:
        del inner[last]
    else:
        inner[last] = value
    return card


DELETE = "DELETE"
ROW = "scores.rows.copy_last"
FVD = {"name": "FVD", "value": 1.0}
WRONG = [
    ("scores", DELETE), ("scores", []), ("scores.rows", [1]), ("scores.task", "<script>"), ("scores.task", 3),
    ("scores.num_clips", -1), ("scores.num_clips", 4), ("scores.num_clips", 1.5), ("scores.num_clips", True),
    ("scores.num_frames", 99), ("scores.size", [16]), ("scores.size", ["16", "16"]), ("scores.guidance", float("nan")),
    ("scores.guidance", "1"), ("scores.seed", None), ("scores.sampler", None), ("scores.more", 1),
    ("scores.metrics.psnr.digits", 10**9), ("scores.metrics.psnr.digits", "s"), ("scores.metrics.psnr.title", 1),
    ("scores.guidance", 1e200), (f"{ROW}.psnr", -1e200), ("distances", [FVD | {"value": 1e101}]),
    (f"{ROW}.psnr", float("inf")), (f"{ROW}.psnr", "30"), (f"{ROW}.psnr", DELETE), (f"{ROW}.psnr_interval", [1]),
    (f"{ROW}.psnr_interval", DELETE), (f"{ROW}.psnr_per_clip", DELETE),
    (f"{ROW}.psnr_per_clip", [1.0]), (f"{ROW}.psnr_per_frame", [None]), (f"{ROW}.more", 1), (f"{ROW}.title", {}),
    (f"{ROW}.ranked", "yes"), ("distances", {}), ("distances", [{"name": "FVD"}]),
    ("distances", [FVD | {"value": "1"}]), ("distances", [FVD | {"cautions": "many"}]),
    ("distances", [FVD | {"interval_95": [1, 2, 3]}]),
    ("protocol", "p"), ("protocol.name", [1]), ("protocol.name", DELETE), ("data", None),
    ("command", 1), ("versions", {"torch": 2}),
    ("frame_rate_hz", "25"), ("missing", []), ("model", "m" * 10**6), ("more", 1),
]  # fmt: skip


def test_what_evaluate_writes_is_let_through(whole):
    assert ResultCard.from_json(checked_result(whole)) == CARD


@pytest.mark.parametrize(("place", "value"), WRONG, ids=str)
def test_a_card_that_is_none_is_refused_by_all_of_its_readers_and_says_where(place, value, whole, tmp_path, capsys):
    path, good = tmp_path / "card.json", tmp_path / "good.json"
    path.write_text(json.dumps(put(whole, place, value)))
    good.write_text(json.dumps(whole))
    where = place.rpartition(".")[2]
    for read in (read_result, read_card):
        with pytest.raises(ValueError, match=r"card\.json is no result of `mcvd evaluate`: ") as refused:
            read(path)
        assert len(str(refused.value)) < 800 and "\n" not in str(refused.value)
    assert where.partition("_")[0] in str(refused.value)
    assert main(["evaluate", "--compare", str(good), str(path)]) == 2
    assert "card.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"{", b"[" * 100_000, b"[]", b"null", b'{"scores": NaN}', b"1" * 9999]
)
def test_what_is_no_json_or_something_else_is_refused(content, tmp_path):
    (tmp_path / "card.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"card\.json is n"):
        read_card(tmp_path / "card.json")


def test_a_file_without_end_is_not_read(tmp_path):
    with (tmp_path / "card.json").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ValueError, match="more than"):
        read_card(tmp_path / "card.json")


def test_half_a_card_cannot_be_compared(whole, tmp_path):
    del whole["model_digest"], whole["device"]
    (tmp_path / "half.json").write_text(json.dumps(whole))
    with pytest.raises(ValueError, match=r"half\.json is no whole result card: it lacks device, model_digest"):
        read_card(tmp_path / "half.json")


HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "![x](http://evil.example/a.png)", "[a](javascript:b)",
    "**bold** _it_ ~~no~~ `code`", "a | b | c", "# head", "- item", "1. item", "x\n\n# head\n", "x\r\n| a |",
    "http://evil.example", "www.evil.example", "@somebody #1", "&lt;b&gt;", "\x1b[2Jx", "a\\*b", "```\ncode", "$x$",
    "+ x", "> quote", "<!-- x", "===", "a_b_c", "\u202ex",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_hostile_text_is_text_in_markdown(text):
    """As a reader of CommonMark, tables, strike-through and links of GitHub sees it."""
    reader = MarkdownIt("commonmark", {"linkify": False}).enable(["table", "strikethrough"])
    (start, inline, end) = reader.parse(escaped(text))
    assert (start.type, end.type) == ("paragraph_open", "paragraph_close")
    assert {token.type for token in inline.children} <= {"text", "text_special"}
    said = "".join(token.content for token in inline.children)
    assert said == escaped_terminal(text)
    (start, inline, end) = reader.parse(as_code(text))
    (code,) = inline.children
    assert code.type == "code_inline" and code.content == escaped_terminal(text)


def escaped_terminal(text):
    return " ".join(text.split()).replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")


@pytest.fixture
def hostile(whole):
    """A card with hostile text wherever there is text."""
    text = "<script>x</script> | `a` **b** [c](http://d)"
    places = ["data", "command", "model", "device", "protocol.name", "scores.sentence", "scores.sampler"]
    places += ["scores.metrics.psnr.title", "scores.metrics.psnr.definition", f"{ROW}.title"]
    for place in places:
        whole = put(whole, place, text)
    whole["distances"] = [FVD | {"name": text, "weights": text, "cautions": [text]}]
    return whole | {"missing": {text: text}, "versions": {text: text}}


def test_hostile_text_reaches_neither_the_readme_nor_the_page(hostile, tmp_path):
    (tmp_path / "card.json").write_text(json.dumps(hostile))
    tiny_model().save_pretrained(tmp_path / "m", scores=[tmp_path / "card.json"])
    readme = (tmp_path / "m" / "README.md").read_text().partition("---\n")[2].partition("---\n")[2]
    tokens = MarkdownIt("commonmark").enable("table").parse(readme)
    flat = [child for token in tokens for child in (token.children or [token])]
    assert not {"html_block", "html_inline", "link_open", "image", "strong_open"} & {token.type for token in flat}
    rows = [token for token in tokens if token.type == "tr_open"]
    heads = [token for token in tokens if token.type == "th_open"]
    assert len(heads) == 2 + 1 + 2 * len(hostile["scores"]["metrics"])
    assert len(rows) == 1 + 4 + 1 + len(hostile["scores"]["rows"])
    page = tmp_path / "page.html"
    card_page(read_card(tmp_path / "card.json"), []).write(page)
    assert "<script>x" not in page.read_text()


@pytest.mark.parametrize("name", ['a"b', "a`b", "<b>", "a_b"])
def test_the_name_of_the_folder_is_text_too(name, tmp_path):
    tiny_model().save_pretrained(tmp_path / name)
    readme = (tmp_path / name / "README.md").read_text()
    assert f"model = mcvd.load({json.dumps(name)})" in readme and f"# {escaped(name)}\n" in readme
