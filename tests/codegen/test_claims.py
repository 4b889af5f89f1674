"""Claims put to the test: each verdict, what it stands on, and the page that shows it."""

import itertools
import json
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

import fake_cupy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from relusym_codegen import compilers, generate
from relusym_codegen.claims import (
    CLAIMS,
    Claim,
    Effort,
    Evidence,
    Outcome,
    Ruling,
    Settled,
    chosen,
    depth,
    documents,
    maxout,
    networks,
    settle,
    speed,
)
from relusym_codegen.claims.pictures import draw
from relusym_codegen.claims.proofs import Theorem, by_theorems
from relusym_codegen.claims.statements import Band, Curves

from relusym import prove
from relusym.activation import x
from relusym.errors import InvalidRequest

SMALL = Effort((0, 1), share=0.1)
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "claims.md"
RULINGS = {
    Ruling.PROVED: """relu-formula relu-range relu-piecewise-linear relu-continuous relu-kink relu-slopes
        any-subgradient relu-gradient-passes sigmoid-gradient-vanishes dead-unit-no-gradient relu-not-zero-centred
        relu-unbounded elu-range selu-fixed-point sigmoid-row tanh-row gelu-row maxout-convex""",
    Ruling.CONDITIONAL: """half-active tanh-gradient-vanishes dead-for-good leaky-units-live leaky-as-maximum elu-smooth
        maxout-universal""",
    Ruling.REFUTED: "zero-at-zero elu-zero-centred gelu-range",
    Ruling.MEASURED: """relu-at-zero-matters gradient-through-depth how-many-die selu-attraction relu-cheap
        relu-trains-faster""",
    Ruling.QUOTED: "six-times-faster better-than-people relu-at-zero-imagenet",
}
EXPECTED = {name: ruling for ruling, names in RULINGS.items() for name in names.split()}


def shown_on_the_page() -> dict[str, str]:
    """The verdict of every claim in the page's first table."""
    rows = re.findall(r"^\| \[([\w-]+)\]\(#\1\) \| .* \| ([^|]+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(rows)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_the_verdict_comes_out_and_stands_on_the_page(claim: Claim) -> None:
    settled = claim.settle(SMALL)
    assert settled.ruling is EXPECTED[claim.name]
    written = shown_on_the_page()[claim.name]
    if settled.ruling is Ruling.MEASURED:
        assert settled.supported is not None
        # times depend on the machine, and the race of ReLU and tanh is close: both may come out either way
        if claim.name not in ("relu-cheap", "relu-trains-faster"):
            assert settled.supported is (written == "measured, and holds here")
        assert re.fullmatch("measured, and (holds|does not hold) here", written)
        assert all(len(one.samples) == len(SMALL.seeds) for one in settled.measurements)
        assert np.isfinite([one.samples for one in settled.measurements]).all()
    else:
        assert written == settled.ruling.value
    refuted = [one for one in settled.evidence if one.verdict == "refuted"]
    assert all(one.known for one in refuted)
    if settled.ruling in (Ruling.REFUTED, Ruling.CONDITIONAL):
        assert refuted, "a claim that fails somewhere shows where"
    if settled.ruling is Ruling.PROVED:
        assert any(one.verdict == "proved" for one in settled.evidence)


def test_the_page_holds_every_claim_in_order_and_no_other() -> None:
    assert list(shown_on_the_page()) == [claim.name for claim in CLAIMS]
    text = PAGE.read_text(encoding="utf-8")
    for claim in CLAIMS:
        assert f"## {claim.name}\n\n> {claim.statement}\n\nSaid by: {claim.citation}\n" in text


def test_names_are_anchors_and_unique() -> None:
    names = [claim.name for claim in CLAIMS]
    assert len(set(names)) == len(names) == len(EXPECTED)
    assert all(re.fullmatch(r"[a-z-]+", name) for name in names)


# --- rulings follow what prove says, whatever is expected ---


def test_a_false_theorem_refutes_the_claim_with_its_witness() -> None:
    settled = by_theorems("", true=[Theorem("relu", "range == [0, oo)"), Theorem("relu", "odd")])(SMALL)
    assert settled.ruling is Ruling.REFUTED
    assert settled.evidence[1].known == "f(1) = 1.000000000, f(-1) = 0"


def test_a_claim_that_denies_a_theorem_is_refuted() -> None:
    assert by_theorems("", false=[Theorem("relu", "convex")])(SMALL).ruling is Ruling.REFUTED


def test_an_exception_that_holds_makes_the_claim_plainly_true() -> None:
    theorem = Theorem("prelu", "f(x) = max(alpha*x, x)", {"alpha": "1/2"})
    assert by_theorems("", true=[theorem], exceptions=[theorem])(SMALL).ruling is Ruling.PROVED


def test_what_is_not_settled_is_unknown() -> None:
    open_question = Evidence("relu", "something", "unknown", "nobody knows")
    settled = by_theorems("", true=[Theorem("relu", "convex")], besides=[lambda: open_question])(SMALL)
    assert settled.ruling is Ruling.UNKNOWN


def test_what_a_claim_rests_on_must_be_proved() -> None:
    broken = Evidence("layer of relu", "W*_ij = W_ij - 1", "refuted", "the update")
    assert by_theorems("", besides=[lambda: broken])(SMALL).ruling is Ruling.REFUTED


# --- measurements ---


def test_measurements_are_seeded() -> None:
    one, other = (depth.gradient_norms("relu", 2**0.5, 5) for _ in range(2))
    assert one == other != depth.gradient_norms("relu", 2**0.5, 6)


def test_a_wrong_gain_is_seen_in_the_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    (claim,) = chosen(["gradient-through-depth"])
    monkeypatch.setattr(depth, "_gains", lambda: {"He": 1.3, "Xavier": 1.0})
    assert claim.settle(SMALL).supported is False


def test_the_trainers_gradients_are_those_of_the_loss() -> None:
    """Central differences of E = sum(output * c) in float64: truncation h^2 and rounding eps/h, both near 1e-10."""
    random = np.random.default_rng(0)
    layers = networks.hidden("tanh", 2, "float64")
    weights = networks.initial(random, (2, 5, 4, 1), 1.0, dtype="float64", bias=0.1)
    x, c = random.standard_normal((6, 2)), random.standard_normal((6, 1))
    found, by_input = networks.backwards(layers, weights, networks.forwards(layers, weights, x), c)
    step = 1e-5

    def loss() -> float:
        return float(np.sum(networks.forwards(layers, weights, x).output * c))

    arrays = [array for layer in weights for array in layer] + [x]
    slopes = [array for layer in found for array in layer] + [by_input]
    for array, slope in zip(arrays, slopes, strict=True):
        for index in itertools.islice(np.ndindex(array.shape), 6):
            kept = array[index]
            array[index] = kept + step
            above = loss()
            array[index] = kept - step
            below = loss()
            array[index] = kept
            assert slope[index] == pytest.approx((above - below) / (2 * step), abs=1e-8)


@pytest.mark.skipif(compilers.available() is None, reason="no C compiler to run CUDA text on the CPU")
def test_times_on_a_gpu_are_taken_between_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the pretended GPU, whose clock runs a thousand times as fast as ours."""
    fake_cupy.install(monkeypatch, [generate("relu", "cuda")])
    cupy = sys.modules["cupy"]

    class Event:
        def record(self) -> None:
            self.at = time.perf_counter()

        def synchronize(self) -> None:
            assert self.at

    monkeypatch.setattr(cupy, "asarray", lambda array: fake_cupy.ndarray(array, 0), raising=False)
    monkeypatch.setattr(cupy.cuda, "Event", Event, raising=False)
    monkeypatch.setattr(cupy.cuda, "get_elapsed_time", lambda one, other: 1e6 * (other.at - one.at), raising=False)
    monkeypatch.setattr(speed, "_SIZE", 64)
    monkeypatch.setenv("RELUSYM_CACHE", "off")
    begin = time.perf_counter()
    times = speed._gpu_times("relu", "forward", SMALL)
    assert len(times) == len(SMALL.seeds)
    assert 0 < max(times) < 1000 * (time.perf_counter() - begin)


def test_training_lowers_the_loss_and_stops_where_it_diverges() -> None:
    random = np.random.default_rng(1)
    places, signs = networks.moons(random, 64)
    weights = networks.initial(random, (2, 16, 1), networks.forward_gain("relu"))
    calm = networks.train(networks.hidden("relu", 1), weights, places, signs, rate=0.3, steps=60)
    assert calm.losses[-1] < calm.losses[0] / 2
    wild = networks.train(networks.hidden("leaky_relu", 1), weights, places, signs, rate=1e30, steps=60)
    assert wild.diverged
    assert len(wild.losses) < 60


# --- maxout ---


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.fractions(-5, 5, max_denominator=64))
def test_maxout_constructions_equal_the_function_at_every_place(seed: int, convex: bool, place: object) -> None:
    function = maxout.random_function(seed, convex=convex)
    want = function.activation.expr.subs(x, place)
    first, second = maxout.as_difference(function)
    assert first.subs(x, place) - second.subs(x, place) == want
    if convex:
        assert maxout.as_maxout(function).subs(x, place) == want


def test_the_lines_of_a_function_that_is_not_convex_are_no_maxout_of_it() -> None:
    function = maxout.random_function(0, convex=True)
    bent = replace(function, slopes=function.slopes[::-1])
    fact = prove(bent.activation, f"f(x) = {maxout.as_text(maxout.as_maxout(bent))}")
    assert fact.verdict.value == "REFUTED"


# --- choosing and printing ---


def test_words_choose_claims_by_name_and_statement() -> None:
    assert [claim.name for claim in chosen(["dead"])] == ["dead-unit-no-gradient", "dead-for-good"]
    assert chosen(["MAXOUT"]) == chosen(["maxout-convex", "maxout-universal"])
    assert chosen([]) == CLAIMS
    with pytest.raises(InvalidRequest, match="relu-formula"):
        chosen(["capsule"])


def test_json_keeps_every_sample_exactly() -> None:
    found = settle(chosen(["half-active", "relu-range"]), SMALL)
    document = json.loads(documents.render(found, "json"))
    assert document["schema"] == 1
    for one, plain in zip(found, document["claims"], strict=True):
        assert plain["verdict"] == one.settled.ruling.value
        samples = [tuple(map(float.fromhex, row["samples"])) for row in plain["measurements"]]
        assert samples == [row.samples for row in one.settled.measurements]


def test_markdown_keeps_bars_and_asterisks_out_of_its_tables() -> None:
    evidence = Evidence("|x|", "f(x) = a*x", "proved", "two | bars")
    settled = Settled(Ruling.PROVED, "so it is", (evidence,))
    text = documents.render([Outcome(Claim("name", "a | b", "nobody", lambda _: settled), settled)], "markdown")
    assert r"| \|x\| | f(x) = a\*x | proved | two \| bars |" in text
    assert r"| a \| b | proved |" in text


def test_another_format_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="html"):
        documents.render([], "html")


def test_the_same_curves_give_the_same_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures are drawn with matplotlib")
    band = Band("middle and ends", (1.0, 0.1, 0.02), (0.5, 0.05, 0.01), (2.0, 0.2, 0.04))
    curves = Curves("some", "Some curves", "steps", "loss", (0.0, 1.0, 2.0), (band, replace(band, label="again")))
    for name in ("one.svg", "two.svg"):
        draw(curves, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert (tmp_path / "one.svg").read_text(encoding="utf-8").count("<path") > len(curves.bands)
