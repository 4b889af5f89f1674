"""Hard logistic function: a line clipped to [0, 1]; ONNX's has slope 1/5."""

from sympy import Rational, Symbol

from relusym.activation import Activation, Parameter, piecewise, x

slope = Symbol("slope", positive=True)
shift = Symbol("shift", real=True)

hardsigmoid = Activation(
    name="hardsigmoid",
    expr=piecewise((0, slope * x + shift <= 0), (1, slope * x + shift >= 1), (slope * x + shift, True)),
    parameters=(
        Parameter(slope, default=Rational(1, 6)),
        Parameter(shift, default=Rational(1, 2)),
    ),
    source="Courbariaux et al. 2015, arXiv:1511.00363; slope 1/6: Howard et al. 2019, arXiv:1905.02244",
    names={"torch": "torch.nn.functional.hardsigmoid", "jax": "jax.nn.hard_sigmoid", "onnx": "HardSigmoid"},
)
