"""Makes mutants of the package: each one small change of meaning, by cosmic-ray's operators. Runs in .venv-mutants.

usage: python tests/mutants/made.py SOURCE SAMPLE SEED [FOLDER ...]

Prints a JSON object for each mutant: `id`, `module`, `operator`, `line`, `before`, `after`, `source` (of the module).
With SAMPLE 0, all of them, else so many: the same for the same seed and source, and from every folder at least one.
"""

from __future__ import annotations

import ast
import hashlib
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

# One replacement for each operator, and for an order both its boundary and its direction: the others of cosmic-ray's
# are killed by whatever kills these, or mean the same (`==` and `is` of small values).
OPERATORS = [
    *(f"ReplaceBinaryOperator_{name}" for name in (
        "Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_Mul", "Pow_Mul", "BitOr_BitAnd",
        "BitAnd_BitOr",
    )),
    *(f"ReplaceComparisonOperator_{name}" for name in (
        "Eq_NotEq", "NotEq_Eq", "Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt",
        "Is_IsNot", "IsNot_Is",
    )),
    "ReplaceUnaryOperator_USub_UAdd", "ReplaceUnaryOperator_Delete_Not", "AddNot",
    "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd",
    "ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "NumberReplacer", "ZeroIterationForLoop",
    "ExceptionReplacer",
]  # fmt: skip
BOUNDARIES = ("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt")
# What could as well be another number, or costs only memory: held by no test.
TUNED = {"slots", "frozen", "daemon", "stacklevel", "maxsize", "longest", "n", "cutoff", "timeout", "most", "shown"}
COUNTED = {"Mul": ast.Mult, "Pow": ast.Pow}
Range = tuple[tuple[int, int], tuple[int, int]]


def unasked(tree: ast.Module) -> Iterator[Range]:
    """Where a change means nothing, or what no test should hold."""
    for node in ast.walk(tree):
        parts: list[Any] = []
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
            parts.append(node.annotation)  # types: mypy's business
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            parts.append(node.returns)
        elif (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING") or (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("cast", "TypeVar")
        ):
            parts.append(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("dataclass", "logger.debug"):
            parts.append(node)  # frozen, slots: what a class costs
        elif isinstance(node, ast.keyword) and node.arg in TUNED:
            parts.append(node)
        elif isinstance(node, ast.arguments):
            named = [*node.posonlyargs, *node.args][-len(node.defaults) :] if node.defaults else []
            both = [*zip(named, node.defaults, strict=True), *zip(node.kwonlyargs, node.kw_defaults, strict=True)]
            parts.extend(default for one, default in both if default is not None and one.arg in TUNED)
        elif (isinstance(node, ast.Assign) and all(is_tuned(target) for target in node.targets)) or (
            isinstance(node, ast.Raise) and "NotImplementedError" in ast.unparse(node)
        ):
            parts.append(node)
        for part in parts:
            yield (part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)


def boundaries_of_tuned(tree: ast.Module) -> Iterator[Range]:
    """Where something is compared with a number that could as well be another: so could the number at which it is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(map(is_tuned, [node.left, *node.comparators])):
            yield (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)  # type: ignore[misc]


def is_tuned(target: ast.expr) -> bool:
    """Whether it is a number that could as well be another: seconds, sizes, how much is shown."""
    names = target.elts if isinstance(target, ast.Tuple) else [target]
    endings = ("_S", "_MS", "_BYTES", "_CHARACTERS", "_ROWS", "_SPANS", "_MB", "_SHOWN")
    beginnings = ("_LONGEST", "LONGEST", "_MOST", "MOST", "_SHOWN", "SHOWN", "_LARGEST", "LARGEST", "_FIRST", "FIRST")
    return all(
        isinstance(name, ast.Name)
        and (name.id == "__tracebackhide__" or name.id.isupper())
        and (name.id.endswith(("__", *endings)) or name.id.startswith(beginnings))
        for name in names
    )


def mutants_of(path: Path, module: str) -> Iterator[dict[str, Any]]:
    code = path.read_text()
    tree = ast.parse(code)
    never, boundaries = list(unasked(tree)), list(boundaries_of_tuned(tree))
    nodes = list(ast_nodes(get_ast(code)))
    for name in OPERATORS:
        operator = get_operator(f"core/{name}")()
        places = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        left_out = never + boundaries if name.endswith(BOUNDARIES) else never
        for occurrence, place in enumerate(places):
            if any(first <= place < last for first, last in left_out):
                continue
            yield {"module": module, "operator": name, "occurrence": occurrence, "line": place[0]}


def made(path: Path, mutant: dict[str, Any]) -> dict[str, Any] | None:
    """With its texts; ``None`` where the operator changes nothing."""
    code = path.read_text()
    try:
        source = mutate_code(code, get_operator(f"core/{mutant['operator']}")(), mutant["occurrence"])
    except AttributeError:
        return None  # an `except` of several with a dotted name, which cosmic-ray cannot replace
    if source is None or source == code or not compiles(source):
        return None  # the stars of a parameter list or a display, which cosmic-ray takes for a product and a power
    kind = COUNTED.get(mutant["operator"].split("_")[1]) if "Binary" in mutant["operator"] else None
    if kind is not None and counted(kind, source) == counted(kind, code):
        return None  # likewise
    old, new = code.splitlines(), source.splitlines()
    line = next(n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
    before, after = old[line].strip(), new[line].strip()
    key = "|".join((mutant["module"], before, after, str(old[:line].count(old[line]))))
    identity = hashlib.sha256(key.encode()).hexdigest()[:10]
    return {**mutant, "id": identity, "line": line + 1, "before": before, "after": after, "source": source}


def compiles(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def counted(kind: type[ast.operator], source: str) -> int:
    return sum(isinstance(node, ast.BinOp) and isinstance(node.op, kind) for node in ast.walk(ast.parse(source)))


def main() -> None:
    root, wanted, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    folders: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(root.rglob("*.py")):
        module = str(path.relative_to(root))
        folder = module.split("/")[0] if "/" in module else "the package's own modules"
        if folder != "migrations" and (not sys.argv[4:] or folder in sys.argv[4:]):
            folders.setdefault(folder, []).extend(mutants_of(path, module))
    draw = random.Random(seed)
    every = [mutant for mutants in folders.values() for mutant in mutants]
    if not wanted:
        chosen = every
    else:
        first = [draw.choice(mutants) for mutants in folders.values() if mutants]
        rest = [mutant for mutant in draw.sample(every, min(len(every), 2 * wanted)) if mutant not in first]
        chosen = first + rest
    seen: set[str] = set()
    for mutant in chosen:
        found = made(root / mutant["module"], mutant)
        if found is not None and found["id"] not in seen:
            seen.add(found["id"])
            print(json.dumps(found), flush=True)
            if wanted and len(seen) >= wanted:
                return


if __name__ == "__main__":
    main()
