"""relusym: one symbolic definition of an activation gives formulas, kernels and a verdict on any kernel.

Names are served when they are asked for: `import relusym` imports neither SymPy nor NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relusym.activation import Activation as Activation
    from relusym.activation import Parameter as Parameter
    from relusym.activation import piecewise as piecewise
    from relusym.activation import x as x
    from relusym.activations import catalogue as catalogue
    from relusym.activations import named as named
    from relusym.activations.celu import celu as celu
    from relusym.activations.crelu import crelu as crelu
    from relusym.activations.elu import elu as elu
    from relusym.activations.geglu import geglu as geglu
    from relusym.activations.geglu_tanh import geglu_tanh as geglu_tanh
    from relusym.activations.gelu import gelu as gelu
    from relusym.activations.gelu_tanh import gelu_tanh as gelu_tanh
    from relusym.activations.glu import glu as glu
    from relusym.activations.hardshrink import hardshrink as hardshrink
    from relusym.activations.hardsigmoid import hardsigmoid as hardsigmoid
    from relusym.activations.hardswish import hardswish as hardswish
    from relusym.activations.hardtanh import hardtanh as hardtanh
    from relusym.activations.identity import identity as identity
    from relusym.activations.leaky_relu import leaky_relu as leaky_relu
    from relusym.activations.logsigmoid import logsigmoid as logsigmoid
    from relusym.activations.maxout import maxout as maxout
    from relusym.activations.mish import mish as mish
    from relusym.activations.prelu import prelu as prelu
    from relusym.activations.quick_gelu import quick_gelu as quick_gelu
    from relusym.activations.reglu import reglu as reglu
    from relusym.activations.relu import relu as relu
    from relusym.activations.relu6 import relu6 as relu6
    from relusym.activations.relu_squared import relu_squared as relu_squared
    from relusym.activations.selu import selu as selu
    from relusym.activations.sigmoid import sigmoid as sigmoid
    from relusym.activations.silu import silu as silu
    from relusym.activations.snake import snake as snake
    from relusym.activations.softplus import softplus as softplus
    from relusym.activations.softshrink import softshrink as softshrink
    from relusym.activations.softsign import softsign as softsign
    from relusym.activations.squareplus import squareplus as squareplus
    from relusym.activations.swiglu import swiglu as swiglu
    from relusym.activations.swish import swish as swish
    from relusym.activations.tanh import tanh as tanh
    from relusym.activations.tanhshrink import tanhshrink as tanhshrink
    from relusym.activations.threshold import threshold as threshold
    from relusym.analysis import Analysis as Analysis
    from relusym.analysis import analyse as analyse
    from relusym.calculus.derivatives import derivative as derivative
    from relusym.calculus.derivatives import parameter_gradient as parameter_gradient
    from relusym.calculus.hulls import Hull as Hull
    from relusym.calculus.relaxations import Relaxation as Relaxation
    from relusym.calculus.relaxations import relaxation as relaxation
    from relusym.calculus.subdifferentials import Kink as Kink
    from relusym.calculus.subdifferentials import kinks as kinks
    from relusym.errors import InvalidActivation as InvalidActivation
    from relusym.errors import InvalidRequest as InvalidRequest
    from relusym.errors import InvalidSubgradient as InvalidSubgradient
    from relusym.errors import Missing as Missing
    from relusym.errors import RelusymError as RelusymError
    from relusym.errors import Undecided as Undecided
    from relusym.facts import Enclosed as Enclosed
    from relusym.facts import Fact as Fact
    from relusym.facts import Interval as Interval
    from relusym.facts import RealSet as RealSet
    from relusym.facts import Verdict as Verdict
    from relusym.formulas import compare as compare
    from relusym.formulas import render as render
    from relusym.judge import Report as Report
    from relusym.judge import assert_agrees as assert_agrees
    from relusym.judge import check as check
    from relusym.layers import AffineLayer as AffineLayer
    from relusym.layers import affine as affine
    from relusym.parsing import parse as parse
    from relusym.pieces import Piece as Piece
    from relusym.pieces import Pieces as Pieces
    from relusym.pieces import split as split
    from relusym.plotting import plot as plot
    from relusym.proving import prove as prove
    from relusym.rechecking import recheck as recheck
    from relusym.rounding import reference as reference
    from relusym.several import SeveralAnalysis as SeveralAnalysis
    from relusym.several import SeveralLayer as SeveralLayer
    from relusym.several import affine_several as affine_several
    from relusym.several import analyse_several as analyse_several
    from relusym.several import subdifferential_at as subdifferential_at

__version__ = "0.1.0"

_HOMES = {
    "Activation": "relusym.activation",
    "Parameter": "relusym.activation",
    "piecewise": "relusym.activation",
    "x": "relusym.activation",
    "catalogue": "relusym.activations",
    "named": "relusym.activations",
    "Analysis": "relusym.analysis",
    "analyse": "relusym.analysis",
    "derivative": "relusym.calculus.derivatives",
    "parameter_gradient": "relusym.calculus.derivatives",
    "Hull": "relusym.calculus.hulls",
    "Relaxation": "relusym.calculus.relaxations",
    "relaxation": "relusym.calculus.relaxations",
    "Kink": "relusym.calculus.subdifferentials",
    "kinks": "relusym.calculus.subdifferentials",
    "InvalidActivation": "relusym.errors",
    "InvalidRequest": "relusym.errors",
    "InvalidSubgradient": "relusym.errors",
    "Missing": "relusym.errors",
    "RelusymError": "relusym.errors",
    "Undecided": "relusym.errors",
    "Enclosed": "relusym.facts",
    "Fact": "relusym.facts",
    "Interval": "relusym.facts",
    "RealSet": "relusym.facts",
    "Verdict": "relusym.facts",
    "compare": "relusym.formulas",
    "render": "relusym.formulas",
    "Report": "relusym.judge",
    "assert_agrees": "relusym.judge",
    "check": "relusym.judge",
    "AffineLayer": "relusym.layers",
    "affine": "relusym.layers",
    "parse": "relusym.parsing",
    "Piece": "relusym.pieces",
    "Pieces": "relusym.pieces",
    "split": "relusym.pieces",
    "plot": "relusym.plotting",
    "prove": "relusym.proving",
    "recheck": "relusym.rechecking",
    "reference": "relusym.rounding",
    "SeveralAnalysis": "relusym.several",
    "SeveralLayer": "relusym.several",
    "affine_several": "relusym.several",
    "analyse_several": "relusym.several",
    "subdifferential_at": "relusym.several",
    "celu": "relusym.activations.celu",
    "crelu": "relusym.activations.crelu",
    "elu": "relusym.activations.elu",
    "geglu": "relusym.activations.geglu",
    "geglu_tanh": "relusym.activations.geglu_tanh",
    "gelu": "relusym.activations.gelu",
    "gelu_tanh": "relusym.activations.gelu_tanh",
    "glu": "relusym.activations.glu",
    "hardshrink": "relusym.activations.hardshrink",
    "hardsigmoid": "relusym.activations.hardsigmoid",
    "hardswish": "relusym.activations.hardswish",
    "hardtanh": "relusym.activations.hardtanh",
    "identity": "relusym.activations.identity",
    "leaky_relu": "relusym.activations.leaky_relu",
    "logsigmoid": "relusym.activations.logsigmoid",
    "maxout": "relusym.activations.maxout",
    "mish": "relusym.activations.mish",
    "prelu": "relusym.activations.prelu",
    "quick_gelu": "relusym.activations.quick_gelu",
    "reglu": "relusym.activations.reglu",
    "relu": "relusym.activations.relu",
    "relu6": "relusym.activations.relu6",
    "relu_squared": "relusym.activations.relu_squared",
    "selu": "relusym.activations.selu",
    "sigmoid": "relusym.activations.sigmoid",
    "silu": "relusym.activations.silu",
    "snake": "relusym.activations.snake",
    "softplus": "relusym.activations.softplus",
    "softshrink": "relusym.activations.softshrink",
    "softsign": "relusym.activations.softsign",
    "squareplus": "relusym.activations.squareplus",
    "swiglu": "relusym.activations.swiglu",
    "swish": "relusym.activations.swish",
    "tanh": "relusym.activations.tanh",
    "tanhshrink": "relusym.activations.tanhshrink",
    "threshold": "relusym.activations.threshold",
}
"""Where each public name lives."""

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """The public object of this name, imported now."""
    if name not in _HOMES:
        raise AttributeError(f"module 'relusym' has no attribute {name!r}")
    found = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
