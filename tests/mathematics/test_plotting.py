"""Pictures: well-formed, the same twice, and with what is to be seen in them."""

import sys
import xml.etree.ElementTree as ElementTree

import pytest

from relusym.activations import NAMES, named
from relusym.analysis import analyse
from relusym.errors import InvalidRequest, Missing
from relusym.plotting import plot

pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")


@pytest.mark.parametrize("name", NAMES)
def test_every_activation_is_drawn(name, tmp_path):
    path = tmp_path / f"{name}.svg"
    plot(analyse(named(name)), path)
    assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_kinks_have_their_clarke_interval_and_jumps_have_none(tmp_path):
    counts = {}
    for name in ("relu", "hardswish", "hardshrink", "gelu"):
        plot(analyse(named(name)), tmp_path / "picture.svg")
        counts[name] = (tmp_path / "picture.svg").read_text().count('id="clarke-')
    assert counts == {"relu": 1, "hardswish": 2, "hardshrink": 0, "gelu": 0}


def test_the_same_analysis_gives_the_same_picture(tmp_path):
    for number in (1, 2):
        plot(analyse(named("selu")), tmp_path / f"{number}.svg")
    assert (tmp_path / "1.svg").read_bytes() == (tmp_path / "2.svg").read_bytes()


def test_png_and_interval(tmp_path):
    plot(analyse(named("relu6")), tmp_path / "relu6.png", interval=(-1, 8))
    assert (tmp_path / "relu6.png").read_bytes().startswith(b"\x89PNG")


def test_another_kind_of_file_is_refused(tmp_path):
    with pytest.raises(InvalidRequest, match=r"\.png nor \.svg"):
        plot(analyse(named("relu")), tmp_path / "relu.pdf")


def test_without_matplotlib_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(Missing, match=r"relusym\[plot\]"):
        plot(analyse(named("relu")), tmp_path / "relu.svg")
