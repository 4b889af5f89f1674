"""Who may import whom: the floors of the house as data, each offending line named."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOMES = {"relusym": ROOT / "relusym", "relusym_codegen": ROOT / "codegen" / "relusym_codegen"}

# A module may import modules of lower floors, and of its own floor where the floor is one package.
FLOORS = (
    {"relusym.errors"},
    {
        "relusym.activation",
        "relusym.floats",
        "relusym.deadline",
        "relusym.drawing",
        "relusym.workers",
        "relusym.intervals",
    },
    {"relusym.activations", "relusym.facts", "relusym.signs", "relusym.printing", "relusym.rechecking"},
    {"relusym.zeros", "relusym.balls", "relusym.structures"},
    {"relusym.domains"},
    {"relusym.series", "relusym.parsing", "relusym.pieces"},
    {"relusym.rounding", "relusym.saturation"},
    {"relusym.segments"},
    {"relusym.calculus"},
    {"relusym.derivation", "relusym.certificates", "relusym.conventions"},
    {"relusym.parametric"},
    {"relusym.analysis"},
    {"relusym.proving", "relusym.layers"},
    {"relusym.several"},
    {"relusym.formulas", "relusym.judge"},
    {"relusym.plotting", "relusym.audit"},
    {
        "relusym_codegen.literals",
        "relusym_codegen.signatures",
        "relusym_codegen.broadcasting",
        "relusym_codegen.parting",
    },
    {"relusym_codegen.fused"},
    {"relusym_codegen.program"},
    {"relusym_codegen.approximants", "relusym_codegen.pairs", "relusym_codegen.ranges", "relusym_codegen.sensitivity"},
    {"relusym_codegen.elementary"},
    {"relusym_codegen.arithmetic"},
    {"relusym_codegen.primitives"},
    {"relusym_codegen.rewrites", "relusym_codegen.enclosures"},
    {"relusym_codegen.translation"},
    {"relusym_codegen.tails", "relusym_codegen.anchors", "relusym_codegen.reflections"},
    {"relusym_codegen.lowering", "relusym_codegen.emit", "relusym_codegen.templates", "relusym_codegen.compilers"},
    {"relusym_codegen.kernel", "relusym_codegen.fusion"},
    {"relusym_codegen.target"},
    {"relusym_codegen.targets", "relusym_codegen.requests"},
    {"relusym_codegen.several"},
    {"relusym_codegen.generation"},
    {"relusym_codegen.acceptance", "relusym_codegen.torch", "relusym_codegen.layers"},
    {"relusym_codegen.sweeping", "relusym_codegen.gates", "relusym_codegen.claims"},
    {"relusym.cli"},
    {"relusym.pytest_plugin"},
)
FRONTS = {"relusym", "relusym_codegen"}  # the lazy tables of public names
LATE = {
    # reached by name when a user asks for it, never at import
    ("relusym_codegen.kernel", "relusym_codegen.target"),
    ("relusym_codegen.literals", "relusym.floats"),
}
FORBIDDEN = {
    # a checker that imports what it checks would share its mistakes
    "relusym.rechecking": ("relusym.facts", "relusym.balls", "relusym.calculus", "relusym.signs", "relusym.activation"),
    "relusym.series": ("relusym.pieces", "relusym.calculus", "relusym.analysis"),
    "relusym.rounding": ("relusym.pieces", "relusym.calculus", "relusym.analysis"),
    "relusym.saturation": ("relusym.pieces", "relusym.calculus", "relusym.analysis"),
    "relusym.segments": ("relusym.pieces", "relusym.calculus", "relusym.analysis"),
    "relusym.judge": ("relusym_codegen",),
    "relusym": ("relusym_codegen",),
}


def modules() -> Iterator[tuple[str, Path]]:
    for package, home in HOMES.items():
        for path in sorted(home.rglob("*.py")):
            parts = path.relative_to(home).with_suffix("").parts
            name = ".".join((package, *(part for part in parts if part != "__init__")))
            yield name, path


MODULES = dict(modules())


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Modules of ours that a file imports, wherever the import stands, type checking aside."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    ignored = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in ignored:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            while name and name not in MODULES:
                name = name.rpartition(".")[0]
            if name:
                yield name, node.lineno


def floor(module: str) -> int:
    for level, names in enumerate(FLOORS):
        if any(module == name or module.startswith(f"{name}.") for name in names):
            return level
    raise AssertionError(f"{module} stands on no floor: add it to FLOORS and to the architecture page")


@pytest.mark.parametrize("module", [name for name in MODULES if name not in FRONTS])
def test_no_module_imports_a_higher_floor(module: str) -> None:
    for imported, line in imports(MODULES[module]):
        if imported in FRONTS or (module, imported) in LATE:
            continue
        same_room = any(module.startswith(room) and imported.startswith(room) for names in FLOORS for room in names)
        assert floor(imported) < floor(module) or same_room, f"{module}:{line} imports {imported}, which is above it"


@pytest.mark.parametrize(("module", "banned"), FORBIDDEN.items())
def test_the_roads_stay_apart(module: str, banned: tuple[str, ...]) -> None:
    for name, path in MODULES.items():
        if (name == module or name.startswith(f"{module}.")) and not name.startswith("relusym.cli"):
            for imported, line in imports(path):
                assert not imported.startswith(banned), f"{name}:{line} imports {imported}"


def test_a_target_imports_no_other_target() -> None:
    targets = [name for name in MODULES if name.startswith("relusym_codegen.targets.")]
    assert targets
    for name in targets:
        for imported, line in imports(MODULES[name]):
            assert not imported.startswith("relusym_codegen.targets."), f"{name}:{line} imports {imported}"


def test_no_public_name_is_a_submodule() -> None:
    import relusym_codegen

    import relusym

    for package in (relusym, relusym_codegen):
        submodules = {name.split(".")[1] for name in MODULES if name.startswith(f"{package.__name__}.")}
        assert not submodules & set(package.__all__)
