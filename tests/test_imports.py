"""Arrows between modules point one way, and nothing heavy is loaded before it is needed."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "selfreward"
LAYERS: tuple[tuple[str, ...], ...] = (
    ("records", "errors"),
    (
        *("resources", "builtin_model", "models", "placeholders", "readings", "templates", "engines", "reasoning"),
        *("rouge", "languages"),
    ),
    ("judges", "meta_judge", "pair_rules", "objectives", "seeding", "evaluation", "diagnosis"),
    ("stages", "training", "tracking"),
    ("config", "setting_names", "config_errors", "recipe_paths", "storage", "progress"),
    (
        "session",
        "eft",
        "verdicts",
        "steps",
        "loop",
        "query",
        "walk",
        "decision",
        "overriding",
        "diagnose",
        "plan",
        "model_size",
        "stage_plans",
        "comparison_plan",
        "api",
        "doctor",
        "init",
        "merging",
        "reward_training",
        "seed_checks",
    ),
    ("terminal", "viewer", "commands", "cli"),
)
"""Lowest first; a module may import from its own layer and from those below."""
BETWEEN_STAGES = {
    "stages.prompt_generation": {"stages.prompt_cleaning", "stages.prompt_filters"},
}
"""Stages know no other stage, apart from what every one of them gives back (stages.shard) and a stage's own parts."""
HEAVY = (
    *("torch", "transformers", "trl", "peft", "vllm", "datasets", "pyarrow", "duckdb", "scipy"),
    *("starlette", "uvicorn"),
)


def modules() -> dict[str, Path]:
    """All modules by name without ``selfreward.``; the package itself is ``""``."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path) -> set[str]:
    """The project's modules that a file imports anywhere in it, lazily or for types too."""
    known, found = modules(), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            places = [f"{node.module}.{alias.name}" for alias in node.names]
            places = [place if _inner(place) in known else str(node.module) for place in places]
        elif isinstance(node, ast.Import):
            places = [alias.name for alias in node.names]
        else:
            continue
        found |= {inner for inner in map(_inner, places) if not inner.startswith("(")}
    return found


def _inner(place: str) -> str:
    """A module's name without ``selfreward.``; somebody else's in brackets."""
    package, _, inner = place.partition(".")
    return inner if package == "selfreward" else f"({place})"


def layer(module: str) -> int:
    top = module.partition(".")[0]
    found = [number for number, names in enumerate(LAYERS) if top in names]
    assert found, f"selfreward.{module} is in no layer; give it one in {Path(__file__).name}"
    return found[0]


@pytest.mark.parametrize("module", [name for name in modules() if name])
def test_imports_point_down(module: str) -> None:
    back = {other for other in imports(modules()[module]) if other and layer(other) > layer(module)}
    assert not back, f"selfreward.{module} imports from above itself"


@pytest.mark.parametrize("module", [name for name in modules() if name.startswith("stages.")])
def test_stages_do_not_import_each_other(module: str) -> None:
    others = {other for other in imports(modules()[module]) if other.startswith("stages.")}
    assert others <= {"stages.shard"} | BETWEEN_STAGES.get(module, set())


def test_there_are_no_circles() -> None:
    graph = {name: imports(path) - {name} for name, path in modules().items() if name}
    assert list(graphlib.TopologicalSorter(graph).static_order())


def test_layers_name_nothing_that_is_gone() -> None:
    tops = {name.split(".")[0] for name in modules() if name}
    assert {name for names in LAYERS for name in names} == tops


@pytest.mark.parametrize(
    "code",
    [
        "import selfreward",
        "import selfreward.config",
        "import selfreward.cli",
        "from selfreward import RunConfig, load_config, open_run, run",
        "from selfreward.cli import main; main(['--help'])",
        "from selfreward.cli import main; main(['eval', 'judge', '--help'])",
        "from selfreward.cli import main; main(['eval', 'compare', '--help'])",
        "from selfreward.cli import main; main(['ls', '--runs-dir', 'nowhere'])",
        "from selfreward.cli import main; main('seeds import seeds/ift.jsonl --as ift --preview 1'.split())",
    ],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    assert _loaded(code) == []


def test_dry_run_and_init_load_no_torch(tmp_path: Path) -> None:
    recipe = str(tmp_path / "mine" / "recipe.yaml")
    start = f"from selfreward.cli import main; assert main(['init', {str(tmp_path / 'mine')!r}]) == 0"
    code = f"{start}; assert main(['run', {recipe!r}, '--dry-run']) == 0"
    assert _loaded(code) == []


def _loaded(code: str) -> list[str]:
    """Which heavy packages a fresh Python has loaded after running some code."""
    check = f"import sys; print(' '.join(m for m in {HEAVY} if m in sys.modules), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{check}"], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    return done.stderr.splitlines()[-1].split()
