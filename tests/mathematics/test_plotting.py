"""Pictures: well-formed, the same twice, and with what is to be seen in them."""

import math
import re
import sys
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import pytest
from analyses import analysed

from relusym.activations import NAMES, named
from relusym.analysis import analyse
from relusym.errors import InvalidRequest, Missing
from relusym.facts import Absent, Fact, Verdict
from relusym.parsing import parse
from relusym.plotting import _fits, _interval, _parts, _title, plot

pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")


def ids(analysis, path, **options):
    """The names of the artists in a picture, in their order."""
    plot(analysis, path, **options)
    assert ElementTree.parse(path).getroot().tag.endswith("svg")
    ours = r'id="((?:clarke|chosen|asymptote|zeros|argmin|argmax|inflections)[^"]*)"'
    return re.findall(ours, path.read_text())


SEEN = {
    "relu": {"clarke-0", "chosen-0", "zeros-interval", "argmin-interval"},
    "hardswish": {"clarke-0", "clarke-1", "chosen-0", "chosen-1", "zeros", "zeros-interval", "argmin"},
    "hardshrink": {"chosen-0", "chosen-1", "zeros-interval"},
    "gelu": {"asymptote-oo", "asymptote+oo", "zeros", "argmin", "inflections"},
    "snake": {"zeros", "inflections"},
    "selu": {"clarke-0", "chosen-0", "asymptote-oo", "zeros"},
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in SEEN else pytest.mark.slow) for name in NAMES])
def test_every_activation_is_drawn_with_its_formula_and_what_is_known(name, tmp_path):
    drawn = ids(analysed(name), tmp_path / f"{name}.svg")
    if name in SEEN:
        assert set(drawn) == SEEN[name]
    title = _title(analysed(name)).splitlines()
    assert title[0] == name
    assert title[1].startswith("$f(x) = ")


def test_what_lies_outside_the_interval_is_not_drawn(tmp_path):
    assert ids(analysed("hardswish"), tmp_path / "picture.svg", interval=(-5, 2)) == [
        "zeros-interval",
        "zeros",
        "argmin",
        "clarke-0",
        "chosen-0",
    ]
    assert ids(analysed("tanhshrink"), tmp_path / "picture.svg", interval=(2, 9)) == ["asymptote+oo"]


def test_the_default_interval_shows_everything():
    assert _interval(analysed("gelu")) == (-5, 5)
    assert _interval(analysed("relu6")) == (-5, 8)
    low, high = _interval(analyse(named("threshold"), {"threshold": 100}))
    assert low == -5
    assert 105 < high < 130


def test_periodic_marks_are_found_in_all_periods():
    places = [at for at, _ in _parts(analysed("snake"), "inflections", 30.0, 40.0)]
    assert sorted(places) == pytest.approx([math.pi / 4 + n * math.pi / 2 for n in range(19, 25)])


def test_what_is_unknown_is_left_out(tmp_path):
    whole = analysed("gelu")
    unknown = Fact("", Verdict.UNKNOWN, Absent("not found in time"), "not settled")
    names = ("activation", "parameters", "formula", "pieces", "derivative", "second_derivative", "kinks")
    parts = {name: getattr(whole, name) for name in names}
    ignorant = SimpleNamespace(**parts, facts=dict.fromkeys(whole.facts, unknown))
    assert ids(ignorant, tmp_path / "picture.svg") == []


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("formula", ["sqrt(abs(x))", "sign(x)", "sin(x)"])
def test_poles_jumps_and_waves_are_drawn(formula, tmp_path):
    ids(analyse(parse(formula)), tmp_path / "picture.svg")


@pytest.mark.filterwarnings("error")
def test_wide_intervals_neither_overflow_nor_miss_what_is_narrow(tmp_path):
    ids(analysed("silu"), tmp_path / "picture.svg", interval=(-1e5, 1e5))


def test_the_same_analysis_gives_the_same_picture_whatever_the_users_settings(tmp_path):
    import matplotlib as mpl

    plot(analysed("selu"), tmp_path / "1.svg")
    with mpl.rc_context({"lines.linewidth": 5, "font.size": 20, "svg.fonttype": "none"}):
        plot(analyse(named("selu")), tmp_path / "2.svg")
        assert mpl.rcParams["font.size"] == 20
    assert (tmp_path / "1.svg").read_bytes() == (tmp_path / "2.svg").read_bytes()


@pytest.mark.parametrize("name", ["relu6.png", "relu6.PNG"])
def test_png_and_interval(name, tmp_path):
    plot(analysed("relu6"), tmp_path / name, interval=(-1, 8))
    assert (tmp_path / name).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_a_formula_that_cannot_be_set_or_is_too_wide_leaves_the_name():
    assert _fits(r"$f(x) = \dfrac{x}{2}$")
    assert not _fits(r"$\begin{cases} 0 & x < 0 \end{cases}$")
    assert not _fits("$" + "x + " * 60 + "x$")
    assert _title(analyse(parse(" + ".join(f"x**{n} / {n}" for n in range(2, 30)), "long"))) == "long"


def test_another_kind_of_file_is_refused(tmp_path):
    with pytest.raises(InvalidRequest, match=r"\.png nor \.svg"):
        plot(analysed("relu"), tmp_path / "relu.pdf")


@pytest.mark.parametrize("interval", [(3, 1), (2, 2), (math.nan, 1), (-math.inf, 1)])
def test_an_interval_that_is_none_is_refused(interval, tmp_path):
    with pytest.raises(InvalidRequest, match="lower end"):
        plot(analysed("relu"), tmp_path / "relu.svg", interval=interval)


def test_a_parameter_without_a_value_is_named(tmp_path):
    with pytest.raises(InvalidRequest, match="value of slope"):
        plot(analyse(parse("slope * x")), tmp_path / "line.svg")


def test_without_matplotlib_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(Missing, match=r"relusym\[plot\]"):
        plot(analysed("relu"), tmp_path / "relu.svg")
