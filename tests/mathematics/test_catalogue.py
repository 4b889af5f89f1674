"""Laws of every definition in the catalogue."""

from pathlib import Path

import numpy as np
import pytest
from mpmath import mp, mpf

import relusym
from relusym.activation import Activation, parameter_values
from relusym.activations import NAMES, SEVERAL, catalogue, known, named
from relusym.errors import InvalidActivation, InvalidRequest

FOLDER = Path(relusym.__file__).parent / "activations"


def test_every_file_is_in_the_catalogue_and_every_name_has_a_file():
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert files == {*NAMES, *SEVERAL, "maxout"} - {"maxout2"}
    assert len((*NAMES, *SEVERAL)) == len({*NAMES, *SEVERAL})


@pytest.mark.parametrize("name", [name for name in (*NAMES, *SEVERAL) if name != "maxout2"])
def test_file_name_activation_name_and_public_name_agree(name):
    activation = named(name)
    assert isinstance(activation, Activation)
    assert activation.name == name
    assert getattr(relusym, name) is activation


@pytest.mark.parametrize("activation", catalogue(), ids=lambda activation: activation.name)
def test_every_definition_has_a_source_and_default_values(activation):
    assert activation.source
    assert set(activation.names) <= {"torch", "jax", "onnx"}
    assert set(parameter_values(activation)) == {parameter.symbol for parameter in activation.parameters}


@pytest.mark.parametrize("name", SEVERAL)
def test_a_function_of_several_inputs_or_values_says_so_and_is_no_function_of_a_line(name):
    activation = named(name)
    assert known(name)
    assert activation.name == name
    assert activation.source
    assert not activation.is_scalar
    with pytest.raises(InvalidActivation, match=r"(inputs|values).*pieces of a line need one of each"):
        relusym.split(activation)


@pytest.mark.parametrize("k", [2, 3, 12])
def test_a_name_says_how_many_inputs_a_maxout_takes(k):
    assert named(f"maxout{k}") == relusym.maxout(k)
    assert len(relusym.maxout(k).inputs) == k
    assert relusym.maxout(np.int64(k)) == relusym.maxout(k)


def test_a_maxout_has_64_inputs_at_most():
    assert len(relusym.maxout(64).inputs) == 64


@pytest.mark.parametrize("k", [1, 0, -3, 65, 2.0, True, "3"])
def test_a_maxout_of_no_or_too_many_inputs_is_refused(k):
    with pytest.raises(InvalidRequest, match="an integer from 2 to 64"):
        relusym.maxout(k)


def test_unknown_name_lists_near_matches():
    with pytest.raises(InvalidRequest, match="gelu"):
        named("gleu")


def test_selu_constants_are_the_published_ones():
    selu = named("selu").expr
    scale = selu.args[0][0].coeff(relusym.x)
    scale_alpha = -selu.args[1][0].subs(relusym.x, -(10**4)).evalf(50)
    mp.dps = 45
    published_scale, published_alpha = (
        mpf("1.0507009873554804934193349852946"),
        mpf("1.6732632423543772848170429916717"),
    )
    assert abs(mpf(str(scale.evalf(45))) - published_scale) < mpf("1e-30")
    assert abs(mpf(str(scale_alpha)) / mpf(str(scale.evalf(45))) - published_alpha) < mpf("1e-30")


def test_learnable_parameters_are_those_of_prelu_and_swish():
    learnable = {a.name for a in catalogue() for parameter in a.parameters if parameter.learnable}
    assert learnable == {"prelu", "swish"}
