"""The rooms of the house: imports point one way, no circle of files exists, and `import mcvd` stays light."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What each wing may import of ours. Nobody imports apps.
ALLOWED = {
    "": {"runtime"},  # mcvd/__init__.py, which exports lazily
    "frames": set(),
    "noise": set(),
    "runtime": set(),
    "video": {"runtime"},
    "metrics": {"runtime"},
    "nets": {"frames", "runtime"},
    "samplers": {"noise"},
    "data": {"video", "runtime"},
    "diffusion": {"frames", "noise", "nets", "samplers", "runtime"},
    "models": {"diffusion", "nets", "samplers", "frames", "noise", "runtime", "video"},  # video: colours and legends
    # training: LPIPS is a loss of codecs too
    "training": {"models", "diffusion", "data", "video", "metrics", "nets", "samplers", "frames", "runtime"},
    "evaluation": {"models", "diffusion", "data", "video", "metrics", "samplers", "frames", "runtime"},
    "apps": {"training", "evaluation", "models", "diffusion", "data", "video", "metrics", "nets", "samplers"}
    | {"frames", "noise", "runtime"},
    "__main__": {"apps"},
}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "mcvd").rglob("*.py")
}


def wing(module):
    return module.split(".")[1] if "." in module else ""


def imports(module):
    """The modules of ours that it imports, wherever in the file; a wing's exports for type checkers are no imports."""
    tree = ast.parse(MODULES[module].read_text())
    exports = set()
    if MODULES[module].name == "__init__.py":
        checks = [node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
        exports = {id(each) for node in checks for each in ast.walk(node)}
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Import) or not any(name.name.startswith("mcvd.") for name in node.names)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mcvd" and id(node) not in exports:
            for name in node.names:
                full = f"{node.module}.{name.name}"
                yield full if full in MODULES else node.module


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_wing_imports_what_it_may(module):
    for other in imports(module):
        if wing(module) != wing(other) and wing(other):
            assert wing(other) in ALLOWED[wing(module)], f"{module} imports {other}"


def test_no_circle_of_files():
    try:
        TopologicalSorter({module: set(imports(module)) for module in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' <- '.join(error.args[1])}")


def test_every_wing_is_in_the_table():
    assert {wing(module) for module in MODULES} == ALLOWED.keys()


def test_the_root_has_few_modules():
    assert {path.stem for path in (ROOT / "mcvd").glob("*.py")} == {"__init__", "__main__", "frames", "noise"}


def test_import_is_light():
    code = "import sys, torch; before = set(sys.modules); import mcvd; print(len(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(result.stdout) < 5


def test_files_are_short():
    assert not {name: n for name, path in MODULES.items() if (n := len(path.read_text().splitlines())) > 400}


DOORS = {"mcvd.data.prepare.cli"}  # what datasets/*/prepare.py run


def test_only_apps_print():
    for module, path in MODULES.items():
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        printing = [call for call in calls if isinstance(call, ast.Name) and call.id == "print"]
        assert not printing or wing(module) == "apps" or module in DOORS, f"{module} prints"
