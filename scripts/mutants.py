"""Plants small faults in the core modules, one at a time, and counts those that tests catch.

python -m scripts.mutants [--each 5] [--seed 1] [--jobs 1] [MODULE ...]

A mutant is a module with one change at one place of its syntax tree (see OPERATORS); the choice
is the same for the same seed. Each runs in a copy of the tree: first the tests that cover its
module, until one fails, then, if none does, all of `make test-fast`. Prints a table by module
and by operator, and every mutant that survives; the exit code is 0 if at least 90 % are caught.
"""

from __future__ import annotations

import argparse
import ast
import os
import queue
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GOAL = 0.9
# An endless loop is caught, too: all fast tests take a fraction of this time.
SECONDS = 600

# The modules, each with the tests that run first.
CORE: dict[str, list[str]] = {
    "cnnviz/arrays.py": ["tests/test_arrays.py"],
    "cnnviz/cards.py": ["tests/test_cards.py"],
    "cnnviz/drawing.py": ["tests/test_drawing.py"],
    "cnnviz/geometry.py": ["tests/test_geometry.py", "tests/photos/test_preprocessing.py"],
    "cnnviz/photos/preprocessing.py": ["tests/photos/test_preprocessing.py"],
    "cnnviz/attribution/descriptions.py": ["tests/attribution/test_descriptions.py"],
    "cnnviz/attribution/explanations.py": ["tests/attribution/test_explanations.py"],
    "cnnviz/attribution/formulas.py": ["tests/attribution/test_methods.py"],
    "cnnviz/attribution/localization.py": ["tests/attribution/test_localization.py"],
    "cnnviz/attribution/map_terms.py": ["tests/attribution/test_explanations.py"],
    "cnnviz/attribution/methods.py": ["tests/attribution/test_methods.py"],
    "cnnviz/batch/pipeline.py": ["tests/batch/test_pipeline.py"],
    "cnnviz/networks/channels.py": ["tests/networks/test_channels.py"],
    "cnnviz/networks/heads.py": ["tests/networks/test_heads.py", "tests/test_every_network.py"],
    "cnnviz/networks/kernels.py": ["tests/networks/test_kernels.py"],
    "cnnviz/networks/engines/tensorflow.py": [
        "tests/networks/test_passes.py",
        "tests/test_every_network.py",
    ],
    "cnnviz/networks/predictions.py": ["tests/networks/test_predictions.py"],
    "cnnviz/networks/keras_models.py": ["tests/networks/test_structure.py"],
    "cnnviz/networks/tracing.py": ["tests/networks/test_tracing.py", "tests/test_every_network.py"],
}


# --- Operators ------------------------------------------------------------------------------
# Each gives the variants of a node, all of which differ in behaviour from the node itself.

BOUNDARIES = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
FIELD_BOUNDARIES = {"lt": "le", "le": "lt", "gt": "ge", "ge": "gt"}
OPPOSITES = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
}
CLIPS = {"clip", "maximum", "minimum", "max", "min", "abs"}
# Functions to which the order of two arguments makes no difference, or is an error at once.
SYMMETRIC = {*CLIPS, "isinstance", "getattr", "hasattr", "zip", "allclose", "logaddexp"}


def comparison_boundary(node: ast.AST) -> Iterator[ast.AST]:
    """`<` to `<=`, and a field's `gt=` to `ge=`."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in BOUNDARIES:
        ops = [BOUNDARIES[type(node.ops[0])](), *node.ops[1:]]
        yield ast.Compare(node.left, ops, node.comparators)
    if isinstance(node, ast.Call):
        for index, keyword in enumerate(node.keywords):
            if keyword.arg in FIELD_BOUNDARIES:
                boundary = ast.keyword(FIELD_BOUNDARIES[keyword.arg], keyword.value)
                yield _with_keyword(node, index, boundary)


def comparison_opposite(node: ast.AST) -> Iterator[ast.AST]:
    """`==` to `!=`, `in` to `not in`, `is` to `is not`."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in OPPOSITES:
        ops = [OPPOSITES[type(node.ops[0])](), *node.ops[1:]]
        yield ast.Compare(node.left, ops, node.comparators)


def arithmetic(node: ast.AST) -> Iterator[ast.AST]:
    """`+` to `-`, `*` to `/`, and so on."""
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        yield ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)


def sign(node: ast.AST) -> Iterator[ast.AST]:
    """`-x` to `x`."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand


def constant(node: ast.AST) -> Iterator[ast.AST]:
    """A number to the next one on either side."""
    if not isinstance(node, ast.Constant) or isinstance(node.value, bool):
        return
    if isinstance(node.value, int | float):
        yield ast.Constant(node.value + 1)
        yield ast.Constant(node.value - 1)


def boolean(node: ast.AST) -> Iterator[ast.AST]:
    """`True` to `False`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)


def axis(node: ast.AST) -> Iterator[ast.AST]:
    """Another axis; of several, the last is left out."""
    if not isinstance(node, ast.Call):
        return
    for index, keyword in enumerate(node.keywords):
        if keyword.arg != "axis":
            continue
        if isinstance(keyword.value, ast.Tuple):
            fewer = ast.Tuple(keyword.value.elts[:-1], ast.Load())
            yield _with_keyword(node, index, ast.keyword("axis", fewer))
        elif not (isinstance(keyword.value, ast.Constant) and keyword.value.value is None):
            next_axis = ast.BinOp(keyword.value, ast.Add(), ast.Constant(1))
            yield _with_keyword(node, index, ast.keyword("axis", next_axis))


def condition(node: ast.AST) -> Iterator[ast.AST]:
    """The condition of an `if` negated."""
    if isinstance(node, ast.If):
        yield ast.If(_negated(node.test), node.body, node.orelse)
    if isinstance(node, ast.IfExp):
        yield ast.IfExp(_negated(node.test), node.body, node.orelse)


def logic(node: ast.AST) -> Iterator[ast.AST]:
    """`and` to `or`, and the first operand alone."""
    if isinstance(node, ast.BoolOp):
        opposite = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield ast.BoolOp(opposite, node.values)
        yield node.values[0]


def removed_clip(node: ast.AST) -> Iterator[ast.AST]:
    """`np.clip(x, 0, 1)` to `x`, `max(x, 1)` to each of its arguments."""
    if isinstance(node, ast.Call) and _name(node.func) in CLIPS and not node.keywords:
        if _name(node.func) in {"clip", "abs"} and node.args:
            yield node.args[0]
        elif len(node.args) > 1:
            yield from node.args


def swapped_arguments(node: ast.AST) -> Iterator[ast.AST]:
    """The first two arguments of a call exchanged."""
    if not isinstance(node, ast.Call) or len(node.args) < 2 or _name(node.func) in SYMMETRIC:
        return
    one, other, *more = node.args
    if ast.dump(one) != ast.dump(other) and not isinstance(one, ast.Starred):
        yield ast.Call(node.func, [other, one, *more], node.keywords)


def return_none(node: ast.AST) -> Iterator[ast.AST]:
    """`return x` to `return None`."""
    if isinstance(node, ast.Return) and node.value and not _is_none(node.value):
        yield ast.Return(ast.Constant(None))


def removed_statement(node: ast.AST) -> Iterator[ast.AST]:
    """A statement that changes something to `pass`."""
    if isinstance(node, ast.AugAssign) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ):
        yield ast.Pass()


Operator = Callable[[ast.AST], Iterator[ast.AST]]
OPERATORS: tuple[Operator, ...] = (
    comparison_boundary,
    comparison_opposite,
    arithmetic,
    sign,
    constant,
    boolean,
    axis,
    condition,
    logic,
    removed_clip,
    swapped_arguments,
    return_none,
    removed_statement,
)


def _with_keyword(node: ast.Call, index: int, other: ast.keyword) -> ast.Call:
    keywords = [*node.keywords[:index], other, *node.keywords[index + 1 :]]
    return ast.Call(node.func, node.args, keywords)


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _name(function: ast.expr) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


# --- Mutants --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Mutant:
    """A module with one change.

    Attributes:
        module: its path in the repository.
        operator: what kind of change.
        index: of the node that is replaced, among those that `_nodes` gives.
        node: the node that is replaced.
        variant: what takes its place.
    """

    module: str
    operator: str
    index: int
    node: ast.AST
    variant: ast.AST

    def __str__(self) -> str:
        before, after = (
            " ".join(ast.unparse(node).split())[:90] for node in (self.node, self.variant)
        )
        line = getattr(self.node, "lineno", 0)
        return f"{self.module}:{line} {self.operator}: {before}  →  {after}"

    def source(self) -> str:
        """The text of the changed module."""
        tree = ast.parse((ROOT / self.module).read_text(encoding="utf-8"))
        changed = _Replace(list(_nodes(tree))[self.index], self.variant).visit(tree)
        return ast.unparse(ast.fix_missing_locations(changed))


class _Replace(ast.NodeTransformer):
    def __init__(self, target: ast.AST, variant: ast.AST) -> None:
        self.target = target
        self.variant = variant

    def visit(self, node: ast.AST) -> ast.AST:
        return self.variant if node is self.target else self.generic_visit(node)


def mutants(module: str) -> dict[str, list[Mutant]]:
    """All mutants of a module, by operator."""
    nodes = list(_nodes(ast.parse((ROOT / module).read_text(encoding="utf-8"))))
    return {
        operator.__name__: [
            Mutant(module, operator.__name__, index, node, variant)
            for index, node in enumerate(nodes)
            for variant in operator(node)
        ]
        for operator in OPERATORS
    }


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node that decides something: no annotation, message, decorator or import."""
    for name, value in ast.iter_fields(tree):
        if name in {"annotation", "returns", "decorator_list", "type_params"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(
                child, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom
            ):
                continue
            if isinstance(child, ast.Expr) and "_log." in ast.unparse(child):
                continue
            yield child
            yield from _nodes(child)


def chosen(module: str, each: int, seed: int) -> list[Mutant]:
    """Some mutants of a module, of as many operators as possible."""
    chance = random.Random(f"{seed} {module}")
    by_operator = [group for group in mutants(module).values() if group]
    for group in by_operator:
        chance.shuffle(group)
    chance.shuffle(by_operator)
    in_turn = chain.from_iterable(zip_longest(*by_operator))
    return [mutant for mutant in in_turn if mutant is not None][:each]


# --- Runs -----------------------------------------------------------------------------------


def fast_tests() -> list[str]:
    """What `make test-fast` collects."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    line = re.search(r"^FAST := (.*)$", makefile, re.MULTILINE)
    assert line, "the Makefile names no FAST tests"
    patterns = line[1].split()
    return [str(path.relative_to(ROOT)) for each in patterns for path in sorted(ROOT.glob(each))]


def copy_tree(folder: Path) -> Path:
    """The files that Git knows or would add."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    return folder


def failing(tree: Path, tests: list[str], log: Path) -> bool:
    """Whether a test fails; the output goes into `log`."""
    # Compiled files of a mutant could be taken for those of the next.
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not slow", *tests]
    with log.open("w") as output:
        try:
            finished = subprocess.run(
                [*command, "-p", "no:cacheprovider"],
                cwd=tree,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired:
            return True
    return finished.returncode != 0


def is_caught(mutant: Mutant, tree: Path, log: Path) -> bool:
    """Whether the module's own tests, or then all fast tests, fail with this mutant."""
    path = tree / mutant.module
    path.write_text(mutant.source(), encoding="utf-8")
    try:
        return failing(tree, CORE[mutant.module], log) or failing(tree, fast_tests(), log)
    finally:
        shutil.copy(ROOT / mutant.module, path)


def run(selected: list[Mutant], jobs: int, folder: Path) -> dict[Mutant, bool]:
    """Which mutants are caught, with a line for each as it is decided."""
    trees: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for job in range(jobs):
        trees.put(copy_tree(folder / f"tree{job}"))

    def decide(mutant: Mutant) -> bool:
        tree, start = trees.get(), time.monotonic()
        try:
            caught = is_caught(mutant, tree, folder / f"{tree.name}.log")
        finally:
            trees.put(tree)
        verdict = "caught  " if caught else "SURVIVED"
        print(f"{verdict} {time.monotonic() - start:5.0f} s  {mutant}", flush=True)
        return caught

    with ThreadPoolExecutor(jobs) as pool:
        return dict(zip(selected, pool.map(decide, selected), strict=True))


def table(title: str, results: dict[Mutant, bool], field: str) -> str:
    """How many mutants are caught, by a field of theirs."""
    total = Counter(getattr(mutant, field) for mutant in results)
    caught = Counter(getattr(mutant, field) for mutant, is_ in results.items() if is_)
    rows = [f"| {name} | {caught[name]} of {total[name]} |" for name in sorted(total)]
    return "\n".join([f"| {title} | caught |", "|---|---|", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description="Plant faults, and count those tests catch.")
    parser.add_argument("modules", nargs="*", help="paths; all core modules if none is named")
    parser.add_argument("--each", type=int, default=5, help="mutants of each module")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="copies that run at the same time")
    options = parser.parse_args()
    modules = options.modules or list(CORE)
    selected = [mutant for name in modules for mutant in chosen(name, options.each, options.seed)]
    with tempfile.TemporaryDirectory() as folder:
        unchanged = copy_tree(Path(folder) / "unchanged")
        if failing(unchanged, fast_tests(), Path(folder) / "unchanged.log"):
            sys.exit((Path(folder) / "unchanged.log").read_text()[-3000:])
        results = run(selected, options.jobs, Path(folder))
    print("\n" + table("module", results, "module"))
    print("\n" + table("operator", results, "operator"))
    survivors = [mutant for mutant, caught in results.items() if not caught]
    print(f"\n{len(results) - len(survivors)} of {len(results)} mutants are caught.")
    for mutant in survivors:
        print(f"survived: {mutant}")
    sys.exit(len(survivors) > (1 - GOAL) * len(results))


if __name__ == "__main__":
    main()
