"""What an error says: on a terminal, in one line, not longer than a screen."""

import sys

import pytest

from mcvd.apps.cli.say import say
from mcvd.runtime.error_text import one_line, printable


@pytest.mark.parametrize(
    "control", ["\x1b[1m", "\n", "\r", "\x00", "\x7f", "\x9b", "\u2028", "\u202e", "\u2066", "\udcff"]
)
def test_what_controls_a_terminal_is_shown_escaped(control, capfdbinary):
    shown = printable(f"a{control}b")
    assert shown.isprintable() and shown.isascii() and shown.startswith("a\\") and shown.endswith("b")
    say(f"a{control}b")  # also bytes of a name that are no UTF-8
    sys.stdout.flush()
    assert capfdbinary.readouterr().out.decode() == f"{shown}\n"


def test_names_of_all_languages_stay_as_they_are():
    for name in (
        "\u00e4\u00f6\u00fc.mp4",
        "\u52d5\u753b\u3000 1.mp4",
        "\u0645\u0642\u0637\u0639.mp4",
        "\U0001f3ac.mp4",
    ):
        assert printable(name) == name


def test_a_text_of_a_file_does_not_fill_the_screen():
    text = one_line("begin " + "a\n" * 10_000 + " end")
    assert len(text) < 1500 and text.startswith("begin a") and text.endswith("end") and " ... " in text
    assert one_line("a\n b") == "a b"
