"""The identity above a threshold, a constant below."""

from sympy import Symbol

from relusym.activation import Activation, Parameter, piecewise, x

level = Symbol("threshold", real=True)
value = Symbol("value", real=True)

threshold = Activation(
    name="threshold",
    expr=piecewise((x, x > level), (value, True)),
    parameters=(
        Parameter(level, default=1),
        Parameter(value, default=0),
    ),
    source="Konda, Memisevic & Krueger 2014, arXiv:1402.3337",
    names={"torch": "torch.nn.functional.threshold", "onnx": "ThresholdedRelu"},
)
