"""Files and folders that appear whole or not at all, whatever happens to the process that writes them."""

import errno
import os
import signal
from pathlib import Path

import pytest

import mcvd
from mcvd.runtime.atomic import atomic_link, atomic_write, remove_stale_parts, write_json
from mcvd.runtime.lock import file_lock


def killed_while_writing(path, *, is_folder=False):
    """A process writes ``path`` and is killed before the end."""
    child = os.fork()
    if not child:
        with atomic_write(path) as part:
            if is_folder:
                part.mkdir()
                part /= "inside"
            part.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def write(path, text="whole"):
    with atomic_write(path) as part:
        part.write_text(text)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("is_folder", [False, True])
@pytest.mark.parametrize("next_name", ["a.mp4", "other"])
def test_what_a_killed_process_left_is_removed_by_the_next_write_in_its_folder(tmp_path, is_folder, next_name):
    killed_while_writing(tmp_path / "a.mp4", is_folder=is_folder)
    assert len(names(tmp_path)) == 2  # the part and its lock
    write(tmp_path / next_name)
    assert names(tmp_path) == [next_name]


def test_parts_are_told_apart_where_every_process_has_the_same_number(tmp_path, monkeypatch):
    """As in containers, each of which has a process 1, over one network folder."""
    kill, number = os.kill, os.getpid
    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr(os, "kill", lambda _, signal_number: kill(number(), signal_number))
    killed_while_writing(tmp_path / "a")
    with atomic_write(tmp_path / "a") as first, atomic_write(tmp_path / "a") as second:
        first.write_text("first")
        second.write_text("second")
    assert names(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "first"


def test_a_part_that_is_being_written_is_never_removed(tmp_path):
    pipe, mouth = os.pipe()
    child = os.fork()
    if not child:
        os.close(mouth)
        with atomic_write(tmp_path / "slow") as part:
            part.write_text("begun")
            os.read(pipe, 1)  # until the other has swept
        os._exit(0)
    while not list(tmp_path.glob("*.part")):
        pass
    remove_stale_parts(tmp_path)
    write(tmp_path / "quick")
    os.close(mouth)
    assert os.waitpid(child, 0)[1] == 0
    assert names(tmp_path) == ["quick", "slow"] and (tmp_path / "slow").read_text() == "begun"


def test_a_worker_forked_by_a_writer_does_not_hold_its_lock(tmp_path):
    pipe, mouth = os.pipe()
    started, ready = os.pipe()
    child = os.fork()
    if not child:
        with atomic_write(tmp_path / "a") as part:
            part.write_text("half")
            if not os.fork():  # outlives the writer
                os.close(mouth)
                os.write(ready, b"x")  # it has let go of the lock, as the first thing after the fork
                os.read(pipe, 1)
                os._exit(0)
            os.read(started, 1)
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    write(tmp_path / "a")
    for handle in (pipe, mouth, started, ready):
        os.close(handle)
    assert names(tmp_path) == ["a"]


def test_other_hidden_files_are_left_alone(tmp_path):
    others = [".film.mp4.part", ".0123456789abcdef.txt", ".vim.lock", ".a.0123456789ABCDEF.part"]
    for name in others:
        (tmp_path / name).write_text("of somebody else")
    write(tmp_path / "a")
    assert names(tmp_path) == sorted(["a", *others])


def test_the_content_of_a_folder_is_on_the_disk_before_its_name(tmp_path, monkeypatch):
    done, fsync, replace = [], os.fsync, os.replace

    def recorded(handle):
        done.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", recorded)
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("renamed"), replace(*paths)))
    with atomic_write(tmp_path / "model") as part:
        (part / "more").mkdir(parents=True)
        (part / "config.json").write_text("{}")
        (part / "more" / "weights").write_text("w")
    before, after = done[: done.index("renamed")], done[done.index("renamed") + 1 :]
    assert {"config.json", "weights", "more", part.name} == set(before)
    assert after == [tmp_path.name]


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EXDEV, errno.EMLINK])
def test_without_hard_links_a_file_is_copied(tmp_path, monkeypatch, number):
    def refused(*_):
        raise OSError(number, "no links here")

    monkeypatch.setattr(os, "link", refused)
    (tmp_path / "last").write_text("weights")
    atomic_link(tmp_path / "last", tmp_path / "kept")
    assert (tmp_path / "kept").read_text() == "weights" and names(tmp_path) == ["kept", "last"]


def test_with_hard_links_none_is(tmp_path):
    (tmp_path / "last").write_text("weights")
    (tmp_path / "kept").write_text("of an earlier try")
    atomic_link(tmp_path / "last", tmp_path / "kept")
    assert (tmp_path / "kept").samefile(tmp_path / "last")


def test_a_folder_that_holds_the_same_is_written_and_one_that_holds_more_is_not(tmp_path):
    def write_folder(**files):
        with atomic_write(tmp_path / "model") as part:
            part.mkdir()
            for name, text in files.items():
                (part / name).write_text(text)

    write_folder(a="1", b="2")
    write_folder(a="1", b="2")
    for other in ({"a": "1"}, {"a": "1", "b": "3"}, {"a": "1", "b": "2", "c": "3"}):
        with pytest.raises(OSError, match="not empty"):
            write_folder(**other)
    assert names(tmp_path) == ["model"] and names(tmp_path / "model") == ["a", "b"]


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "two\nlines"])
def test_any_name_that_a_file_can_have(tmp_path, name):
    killed_while_writing(tmp_path / name)
    write(tmp_path / name)
    assert names(tmp_path) == [name]


def test_an_error_names_the_file_that_the_user_knows(tmp_path):
    with pytest.raises(OSError, match=r"scores.json'$") as caught, atomic_write(tmp_path / "scores.json") as part:
        (part / "not a folder").write_text("")
    assert ".part" not in str(caught.value) and names(tmp_path) == []


def test_a_lock_is_held_by_one_and_gone_when_it_is_free(tmp_path):
    lock = tmp_path / "lock"
    with file_lock(lock) as mine:
        assert mine
        with file_lock(lock, wait=False) as another:
            assert not another
        assert lock.exists()
    assert not lock.exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_is_written_too(tmp_path, monkeypatch, number):
    fcntl = pytest.importorskip("fcntl")

    def refused(*_):
        raise OSError(number, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refused)
    write_json(tmp_path / "card.json", {})
    assert names(tmp_path) == ["card.json"]


def test_nothing_needs_a_module_that_windows_has_not():
    modules = Path(mcvd.__file__).parent.rglob("*.py")
    assert not [path for path in modules if "import fcntl" in path.read_text() or "import resource" in path.read_text()]
