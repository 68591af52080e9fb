"""One reader of YAML for the whole project: plain values only, and errors that name the place."""

import pytest

from mcvd.runtime.yaml_file import MAX_BYTES, read_yaml


def test_a_mapping_is_read_as_plain_values(tmp_path):
    file = tmp_path / "data.yaml"
    file.write_text("data: {root: videos é, size: [64, 64], rate: 2.5, flip: true, cache: null}\n", encoding="utf-8")
    assert read_yaml(file) == {
        "data": {"root": "videos é", "size": [64, 64], "rate": 2.5, "flip": True, "cache": None},
    }


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("data:\n  root: [", "line 2"),
        ("data:\n\troot: a", "line 2"),
        ("a: 1\nb: !!python/name:os.mkdir", "line 2"),
        ("a: !!python/object/apply:os.mkdir [mark]", "line 1"),
        ("[" * 5000, "cannot be read"),
        ("just words", "must be a mapping"),
        ("", "must be a mapping"),
        ("a: \udcff", "cannot be read"),
        ("#" * (MAX_BYTES + 1), f"more than {MAX_BYTES} bytes"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line_that_names_the_place(tmp_path, monkeypatch, text, place):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "bad.yaml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=place) as refused:
        read_yaml(file)
    assert str(refused.value).startswith(f"{file}: ") and "\n" not in str(refused.value)
    assert not (tmp_path / "mark").exists()


def bomb(line):
    """Eight lines, each of which holds the one before nine times: 43 million values in some 300 bytes."""
    return "a0: &a0 {x0: 1, y: 2}\n" + "".join(line(number) + "\n" for number in range(1, 9))


@pytest.mark.parametrize(
    "text",
    [
        bomb(lambda n: f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]"),
        bomb(lambda n: f"a{n}: &a{n} {{{', '.join(f'k{k}: *a{n - 1}' for k in range(9))}}}"),
        "a: &a {b: 1}\nc: {<<: [" + "*a, " * 1000 + "]}",
        "data: &a {root: *a}",
        "data: &a [1, [*a]]",
    ],
)
def test_aliases_that_stand_for_more_than_memory_holds_are_refused(tmp_path, text):
    (tmp_path / "bomb.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"aliases|taken over|cannot be read"):
        read_yaml(tmp_path / "bomb.yaml")


def test_aliases_are_read(tmp_path):
    (tmp_path / "a.yaml").write_text("a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: [*a, *a]\n")
    one = {"x": 1, "y": 2}
    assert read_yaml(tmp_path / "a.yaml") == {"a": one, "b": one, "c": {"x": 1, "y": 3}, "d": [one, one]}


def test_chosen_tags_are_read_as_mappings_by_this_call_alone(tmp_path):
    tag, file = "tag:yaml.org,2002:python/object:argparse.Namespace", tmp_path / "config.yml"
    file.write_text("!!python/object:argparse.Namespace\ndata: !!python/object:argparse.Namespace {channels: 3}\n")
    assert read_yaml(file, [tag]) == {"data": {"channels": 3}}
    with pytest.raises(ValueError, match="line 1"):
        read_yaml(file)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.yaml"):
        read_yaml(tmp_path / "none.yaml")
