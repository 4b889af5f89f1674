"""The pytest plugin: a mark that judges kernels, edge inputs as a fixture, and the files and messages a CI reads.

It is loaded in every run of pytest on a machine that has relusym, so it imports nothing until a test is marked.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from relusym.activation import Activation
    from relusym.floats import Array
    from relusym.judge import Report
    from relusym.judge.known import KnownDefect, Settled

MARK, CASE = "relusym", "relusym_case"

ORDINARY_EXAMPLES = 100
"""max_examples of Hypothesis where no profile says otherwise; the judge draws its own default of lattices then."""


@dataclass(frozen=True)
class Case:
    """What one mark asks for, in one dtype: a kernel that is to be judged as this activation.

    `kernel` is a function, its name as package.module:function, or None where the marked test returns it.
    `keywords` go to `check`.
    """

    activation: str | Activation
    dtype: str
    kernel: object
    keywords: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of the activation."""
        return self.activation if isinstance(self.activation, str) else self.activation.name

    @property
    def computes(self) -> str:
        """What the kernel computes."""
        return str(self.keywords.get("computes", "forward"))

    @property
    def id(self) -> str:
        """The part of the test's id that is in brackets."""
        computes = () if self.computes == "forward" else (self.computes,)
        return "-".join((self.name, *computes, self.dtype))


@dataclass(frozen=True)
class Judged:
    """The report on a kernel, the name of the kernel, and what known defects leave of the report."""

    report: Report
    target: str
    settled: Settled


JUDGED: pytest.StashKey[Judged] = pytest.StashKey()
RESULT: pytest.StashKey[dict[str, Any]] = pytest.StashKey()
DTYPES: pytest.StashKey[tuple[str, ...]] = pytest.StashKey()
KNOWN: pytest.StashKey[Sequence[KnownDefect]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The three options."""
    group = parser.getgroup("relusym", "judging kernels of activation functions")
    group.addoption(
        "--relusym-dtypes",
        metavar="DTYPE,...",
        help="judge in these dtypes only; marks without a dtype are judged in each of them (float32 by default)",
    )
    group.addoption(
        "--relusym-report", metavar="FILE", help="write the results here as JSON, over an older report if there is one"
    )
    group.addoption(
        "--relusym-known", metavar="FILE", help="known defects (TOML): expected to fail, and to be there still"
    )


def pytest_configure(config: pytest.Config) -> None:
    """The mark; options are read here, so that a wrong one is refused before any test runs."""
    config.addinivalue_line(
        "markers",
        "relusym(activation, dtype=..., callable=..., **keywords of relusym.check): judge the kernel `callable`, "
        "or that which the test returns",
    )
    from relusym.errors import RelusymError

    try:
        config.stash[DTYPES] = _dtypes_asked_for(config)
        config.stash[KNOWN] = _known_defects(config)
        if getattr(config, "workerinput", None) is None:  # pytest-xdist: what workers find is gathered by one process
            config.pluginmanager.register(Gathered(config, _report_path(config)), "relusym-gathered")
    except RelusymError as error:
        raise pytest.UsageError(f"relusym: {error}") from None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each mark and dtype; edge inputs in each dtype for tests without a mark."""
    asked = metafunc.config.stash[DTYPES]
    marks = list(metafunc.definition.iter_markers(MARK))
    if marks:
        cases = [case for mark in marks for case in _cases(mark, asked, metafunc.definition.nodeid)]
        metafunc.fixturenames.append(CASE)
        metafunc.parametrize(CASE, cases, ids=[case.id for case in cases])
    elif "relusym_edges" in metafunc.fixturenames and not any(
        "relusym_edges" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")
    ):
        from relusym.floats import FORMATS

        metafunc.parametrize("relusym_edges", asked or tuple(FORMATS), indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is in a dtype that nobody asked for."""
    asked = config.stash[DTYPES]
    if not asked:
        return
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        case = _case(item)
        (kept if case is None or case.dtype in asked else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A mark that would judge nothing is an error."""
    if item.get_closest_marker(MARK) is not None and _case(item) is None:
        _refuse(
            "the mark relusym judges nothing here: put it on a test function or its class, "
            "not inside pytest.param and not on a unittest.TestCase"
        )


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Judge the kernel of a marked test: before its body, or when the body has returned it."""
    case = _case(pyfuncitem)
    if case is None:
        return (yield)
    if case.kernel is not None:
        if "relusym_report" not in pyfuncitem.funcargs:
            _judge(pyfuncitem, case, case.kernel)
        _give_verdict(pyfuncitem)
        return (yield)
    body, returned = pyfuncitem.obj, []

    @functools.wraps(body)
    def keeping_what_it_returns(*arguments: Any, **named: Any) -> None:
        returned.append(body(*arguments, **named))  # pytest itself complains of tests that return something

    pyfuncitem.obj = keeping_what_it_returns
    try:
        outcome = yield
    finally:
        pyfuncitem.obj = body
    if not returned or not callable(returned[0]):
        _refuse(
            f"{pyfuncitem.originalname} returned no function to judge; return the kernel, or name it in the mark: "
            "callable=..."
        )
    _judge(pyfuncitem, case, returned[0])
    _give_verdict(pyfuncitem)
    return outcome


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Results travel with pytest's own reports, from the workers of pytest-xdist too.

    A failure that the test itself expects, by a mark xfail, is known.
    """
    report = yield
    result = item.stash.get(RESULT, None)
    if result is not None and report.when != "teardown":
        expected = vars(report).get("wasxfail")
        if expected is not None and report.skipped and result["status"] == "failed":
            reason = f"expected to fail{f': {expected}' if expected else ''}; {result['reason']}"
            result = {**result, "status": "known", "reason": reason}
        vars(report)["relusym"] = result
    return report


@pytest.fixture
def relusym_report(request: pytest.FixtureRequest) -> Report:
    """The Report on the kernel of the mark's `callable`, for tests that ask more of it than that it passes."""
    case = _case(request.node)
    if case is None or case.kernel is None:
        _refuse("relusym_report is the report on the kernel that a mark names: @pytest.mark.relusym(..., callable=...)")
    return _judge(request.node, case, case.kernel)


@pytest.fixture
def relusym_edges(request: pytest.FixtureRequest) -> Array:
    """Edge inputs as one NumPy array: ±0, subnormals, the ends of the normal range, ±1, ±inf and NaN.

    In a marked test in the mark's dtype, with the floats next to the activation's breakpoints; elsewhere the
    test runs once for each dtype.
    """
    import numpy as np

    from relusym.activation import parameter_values
    from relusym.activations import named
    from relusym.errors import RelusymError
    from relusym.floats import format_of, neighbours, round_to, to_format
    from relusym.judge.strategies import edge_points
    from relusym.pieces import split

    case = _case(request.node)
    try:
        form = format_of(request.param if case is None else case.dtype)
        if case is None:
            return edge_points(form)
        activation = named(case.activation) if isinstance(case.activation, str) else case.activation
        breakpoints = split(activation, parameter_values(activation, case.keywords.get("parameters"))).breakpoints
    except RelusymError as error:
        _refuse(str(error))
    places = to_format(round_to(np.array([float(place) for place in breakpoints]), form), form)
    return np.concatenate([edge_points(form), neighbours(places, 2)])


class Gathered:
    """What all tests found, in this process or in workers: the file, the messages, and the count at the end."""

    def __init__(self, config: pytest.Config, path: Path | None) -> None:
        self.config = config
        self.path = path
        self.found: dict[str, dict[str, Any]] = {}
        self.trouble: list[str] = []

    @property
    def results(self) -> list[dict[str, Any]]:
        """All results in the order of the tests' ids, however many workers there were."""
        return [self.found[test] for test in sorted(self.found)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the result of this test, the last one where it ran again."""
        result = vars(report).get("relusym")
        if result is not None:
            self.found[report.nodeid] = result

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the report file, whole or not at all."""
        if self.path is None or self.config.option.collectonly:
            return
        import json

        from relusym.cli.files import write
        from relusym.errors import RelusymError
        from relusym.judge.results import document

        try:
            write(self.path, json.dumps(document(self.results), indent=1) + "\n", force=True)
        except RelusymError as error:
            self.trouble.append(str(error))
            session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Count the verdicts, and tell GitHub where it runs the tests."""
        write_line = terminalreporter.write_line
        if self.found:
            import os

            from relusym.errors import RelusymError
            from relusym.judge.github import tell

            count = Counter(result["status"] for result in self.results)
            write_line("relusym: " + ", ".join(f"{number} {status}" for status, number in sorted(count.items())))
            for entry in self.config.stash[KNOWN]:
                if not any(entry.is_about(result) for result in self.results):
                    write_line(f"relusym: no test judged this known defect: {entry}, {entry.link}")
            try:
                tell(self.results, os.environ, write_line, root=self.config.rootpath)
            except RelusymError as error:
                self.trouble.append(str(error))
        for line in self.trouble:
            write_line(f"relusym: {line}", red=True)


def _case(item: pytest.Item) -> Case | None:
    """What a mark asks of this test; None where there is no mark."""
    parameters = getattr(item, "callspec", None)
    case = None if parameters is None else parameters.params.get(CASE)
    assert case is None or isinstance(case, Case)
    return case


def _cases(mark: pytest.Mark, asked: Sequence[str], where: str) -> Iterator[Case]:
    """What one mark asks for, in each of its dtypes."""
    keywords = dict(mark.kwargs)
    dtype, kernel = keywords.pop("dtype", None), keywords.pop("callable", None)
    if len(mark.args) != 1:
        _refuse(f"{where}: the mark takes one activation, then keywords: @pytest.mark.relusym('gelu', dtype='float16')")
    if dtype is None:
        dtype = asked or ("float32",)
    if isinstance(dtype, list | tuple) and not dtype:
        _refuse(f"{where}: the mark's list of dtypes is empty; leave dtype out, or name one")
    for each in dtype if isinstance(dtype, list | tuple) else (dtype,):
        yield Case(mark.args[0], _name_of_dtype(each), kernel, keywords)


def _name_of_dtype(dtype: Any) -> str:
    """The name of a dtype of NumPy, ml_dtypes, JAX or PyTorch, without importing any of them; text is a name."""
    return str(getattr(dtype, "__name__", dtype)).rpartition(".")[2]


def _judge(item: pytest.Item, case: Case, kernel: Any) -> Report:
    """Judge a kernel, and leave what came out with the test; a request that makes no sense fails it."""
    import inspect

    from relusym.errors import RelusymError
    from relusym.judge import check
    from relusym.judge.known import settle
    from relusym.judge.results import not_run, result_of

    words = inspect.signature(check).parameters
    allowed = list(words)[2:]
    for word in case.keywords:
        if word not in allowed:
            _refuse(f"the mark has no keyword {word!r}; known: callable, {', '.join(allowed)}")
    target = kernel if isinstance(kernel, str) else _name_of_function(kernel)
    request = {"activation": case.name, "target": target, "dtype": case.dtype, "computes": case.computes}
    file, line, _ = item.location
    place = {"test": item.nodeid, "file": file.replace("\\", "/"), "line": (line or 0) + 1}
    effort = _effort(item.config, words["examples"].default)
    try:
        by_name = isinstance(kernel, str) and case.keywords.get("through") != "onnxruntime"  # which reads names itself
        fn = _resolved(str(kernel)) if by_name else kernel
        report = check(fn, case.activation, dtype=case.dtype, **{**effort, **case.keywords})
    except RelusymError as error:
        item.stash[RESULT] = {**place, **not_run(str(error), **request)}
        _refuse(str(error))
    result = {**place, **result_of(report, **request)}
    settled = settle(result, item.config.stash[KNOWN])
    item.stash[RESULT] = settled.applied_to(result)
    item.stash[JUDGED] = Judged(report, target, settled)
    return report


def _give_verdict(item: pytest.Item) -> None:
    """Fail the test, expect its failure, or let it pass; what JUnit should know goes into the properties."""
    judged = item.stash[JUDGED]
    result = item.stash[RESULT]
    for key in ("activation", "dtype", "computes", "max_ulp", "worst_input"):
        item.user_properties.append((f"relusym_{key}", str(result[key])))
    told = judged.settled.lines()
    if judged.settled.status == "known":
        pytest.xfail("; ".join(told))  # does nothing under --runxfail
    if judged.settled.status != "passed":
        lines = [str(judged.report), f"  where fn is {judged.target}"]
        lines = [*told, *lines] if judged.report.passed else [*lines, *(f"  {line}" for line in told)]
        pytest.fail("\n".join(lines), pytrace=False)


def _resolved(where: str) -> Any:
    """The function at package.module:function; this imports it."""
    import pkgutil

    from relusym.errors import InvalidRequest

    try:
        return pkgutil.resolve_name(where)
    except (ValueError, ImportError, AttributeError) as error:
        raise InvalidRequest(
            f"callable={where!r} is no package.module:function that can be imported: {error}"
        ) from None


def _name_of_function(kernel: Any) -> str:
    """package.module:function, or the type of what is no plain function."""
    from relusym.judge.adapters.adapter import told

    named = kernel if isinstance(told(kernel, "__qualname__"), str) else type(kernel)
    return f"{named.__module__}:{named.__qualname__}"


def _effort(config: pytest.Config, ordinary: int) -> dict[str, int]:
    """How many lattices to draw, in step with the user's Hypothesis profile, and from which seed.

    The judge draws the same lattices in every run unless --hypothesis-seed is given.
    """
    from zlib import crc32

    from hypothesis import settings

    examples = max(1, round(ordinary * settings().max_examples / ORDINARY_EXAMPLES))
    seed = str(config.getoption("--hypothesis-seed", default=None) or 0)
    return {"examples": examples, "seed": int(seed) if seed.isdecimal() else crc32(seed.encode())}


def _dtypes_asked_for(config: pytest.Config) -> tuple[str, ...]:
    """The dtypes of --relusym-dtypes, none of them unknown."""
    given = config.getoption("--relusym-dtypes")
    if given is None:
        return ()
    from relusym.floats import format_of

    return tuple(format_of(word.strip()).name for word in given.split(","))


def _known_defects(config: pytest.Config) -> tuple[KnownDefect, ...]:
    """The entries of --relusym-known."""
    given = config.getoption("--relusym-known")
    if given is None:
        return ()
    from pathlib import Path

    from relusym.judge.known import read_known

    return read_known(Path(given))


def _report_path(config: pytest.Config) -> Path | None:
    """The file of --relusym-report: a new one, or an older report; nothing else is overwritten."""
    given = config.getoption("--relusym-report")
    if given is None:
        return None
    from pathlib import Path

    from relusym.cli.files import refuse_existing

    path = Path(given).absolute()
    refuse_existing(path, force=_holds_results(path))
    return path


def _holds_results(path: Path) -> bool:
    import json

    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"schema", "versions", "results"} <= set(content)


def _refuse(message: str) -> NoReturn:
    """Fail a test, or its collection, with a message and no traceback."""
    raise pytest.fail.Exception(f"relusym: {message}", pytrace=False) from None
