"""The mutants of a module: small edits of its text, each of which changes what the module does.

What can change no behaviour is left out by construction: annotations, docstrings, decorators, texts (f-strings, the
arguments of exceptions and of logging and printing calls), assertions, `__all__` and `__slots__`.

It is long because it is one visitor, with a method for each kind of syntax.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: (r"<", "<="),
    ast.LtE: (r"<=", "<"),
    ast.Gt: (r">", ">="),
    ast.GtE: (r">=", ">"),
    ast.Eq: (r"==", "!="),
    ast.NotEq: (r"!=", "=="),
    ast.Is: (r"\bis\b", "is not"),
    ast.IsNot: (r"\bis\s+not\b", "is"),
    ast.In: (r"\bin\b", "not in"),
    ast.NotIn: (r"\bnot\s+in\b", "in"),
}
ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: (r"\+", "-"),
    ast.Sub: (r"-", "+"),
    ast.Mult: (r"\*", "/"),
    ast.Div: (r"/", "*"),
    ast.FloorDiv: (r"//", "*"),
    ast.Mod: (r"%", "*"),
    ast.Pow: (r"\*\*", "*"),
}
CALLS = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "ceil": "int",
    "startswith": "endswith",
    "endswith": "startswith",
}
EMPTY = {"list": "[]", "dict": "{}", "tuple": "()", "set": "set()", "frozenset": "frozenset()", "str": '""'}
"""Return type -> the value that says nothing."""
TEXT_CALLS = {"print", "log", "debug", "info", "warning", "error", "exception", "critical", "say", "warn"}
TEXT_FUNCTIONS = {"__repr__", "__str__"}
HARMLESS_KEYWORDS = {"strict", "slots", "frozen", "kw_only", "indent", "description", "title"}
"""Arguments of dataclasses, zip, json.dumps and pydantic's Field that change no value."""
SMALL = 100
"""Integers up to it are moved by one. Larger ones and fractions are doubled and halved: nobody has to notice one byte
more in 625 MB/s, but everybody twice as much."""
GENERIC = {"dict", "list", "tuple", "set", "frozenset", "type"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One edit of one file, in bytes of its text."""

    path: Path
    start: int
    end: int
    text: str
    line: int
    span: tuple[int, int]
    """First and last line of the code that is changed: a test that runs none of them cannot notice the mutant."""
    what: str

    def source(self) -> bytes:
        """The whole module with the edit."""
        original = self.path.read_bytes()
        return original[: self.start] + self.text.encode() + original[self.end :]

    def diff(self) -> list[str]:
        """The lines that change, with `-` and `+`."""
        old, new = self.path.read_text().splitlines(), self.source().decode().splitlines()
        return list(difflib.unified_diff(old, new, n=0, lineterm=""))[3:]

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


def mutants(path: Path) -> list[Mutant]:
    """All mutants of a file that are valid Python and another program than the original, in the order of its lines."""
    source = path.read_bytes()
    tree = ast.parse(source)
    finder = _Finder(path, source)
    finder.visit(tree)
    original = ast.dump(tree)
    found: dict[bytes, Mutant] = {}
    for mutant in sorted(finder.found, key=lambda item: (item.start, item.end, item.text)):
        try:
            changed = ast.parse(mutant.source())
        except SyntaxError:
            # Parentheses around a part belong to no node of the tree, so a few edits come out unbalanced.
            continue
        if ast.dump(changed) != original:
            found.setdefault(mutant.source(), mutant)
    return list(found.values())


class _Finder(ast.NodeVisitor):
    def __init__(self, path: Path, source: bytes) -> None:
        self.path = path
        self.source = source
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.spans: list[tuple[int, int]] = [(1, 1)]
        self.functions: list[ast.FunctionDef | ast.AsyncFunctionDef] = []
        self.found: list[Mutant] = []

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt | ast.match_case):
            self.spans.append(_span(node))
            super().visit(node)
            self.spans.pop()
        else:
            super().visit(node)

    # Where things stand in the text.

    def begin(self, node: ast.expr | ast.stmt) -> int:
        return self.starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.starts[node.end_lineno - 1] + node.end_col_offset

    def text(self, node: ast.expr | ast.stmt) -> str:
        return self.source[self.begin(node) : self.end(node)].decode()

    def add(self, what: str, start: int, end: int, text: str) -> None:
        line = self.source.count(b"\n", 0, start) + 1
        self.found.append(Mutant(self.path, start, end, text, line, self.spans[-1], what))

    def replace(self, what: str, node: ast.expr | ast.stmt, text: str) -> None:
        self.add(what, self.begin(node), self.end(node), text)

    def between(self, what: str, start: int, end: int, pattern: str, text: str) -> None:
        """Replaces an operator in the text between two operands, which may hold comments too."""
        gap = re.sub(rb"#[^\n]*", lambda comment: b" " * len(comment[0]), self.source[start:end]).decode("latin-1")
        if operator := re.search(pattern, gap):
            self.add(what, start + operator.start(), start + operator.end(), text)

    # What is left out.

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Assert(self, node: ast.Assert) -> None:
        pass

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        pass

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg not in HARMLESS_KEYWORDS:
            self.visit(node.value)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.value, ast.Name) and (node.value.id in GENERIC or node.value.id[0].isupper()):
            # A type, except where a constant is looked up in.
            if node.value.id.isupper():
                self.visit(node.slice)
            return
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for default in [*node.args.defaults, *filter(None, node.args.kw_defaults)]:
            self.visit(default)
        if node.name not in TEXT_FUNCTIONS:
            self.functions.append(node)
            for statement in node.body:
                self.visit(statement)
            self.functions.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for statement in node.body:
            self.visit(statement)

    # What is changed.

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for operator, left, right in zip(node.ops, operands, operands[1:], strict=False):
            pattern, other = COMPARISONS[type(operator)]
            self.between("comparison", self.end(left), self.begin(right), pattern, other)
            if isinstance(operator, ast.In | ast.NotIn) and isinstance(right, ast.Tuple):
                self.drop_elements(right)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        pattern, other, neutral = (
            (r"\band\b", "or", "True") if isinstance(node.op, ast.And) else (r"\bor\b", "and", "False")
        )
        for left, right in zip(node.values, node.values[1:], strict=False):
            self.between("and/or", self.end(left), self.begin(right), pattern, other)
        for value in node.values:
            self.replace("term dropped", value, neutral)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self.between("not dropped", self.begin(node), self.begin(node.operand), r"\bnot\b", "")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        literal = any(isinstance(side, ast.List | ast.Tuple | ast.JoinedStr) for side in (node.left, node.right))
        if isinstance(node.op, ast.BitOr | ast.BitAnd) or (isinstance(node.op, ast.Add) and literal):
            for side in (node.left, node.right):
                self.replace("operand dropped", node, f"({self.text(side)})")
        elif type(node.op) in ARITHMETIC and not (literal or _is_text(node.left) or _is_text(node.right)):
            pattern, other = ARITHMETIC[type(node.op)]
            self.between("arithmetic", self.end(node.left), self.begin(node.right), pattern, other)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.drop(node)
        if type(node.op) in ARITHMETIC and isinstance(node.value, ast.Constant | ast.Name | ast.Attribute):
            pattern, other = ARITHMETIC[type(node.op)]
            self.between("arithmetic", self.end(node.target), self.begin(node.value), f"{pattern}=", f"{other}=")
        self.visit(node.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self.replace("constant", node, str(not value))
        elif isinstance(value, int) and value <= SMALL:
            self.replace("constant", node, str(value + 1))
            self.replace("constant", node, str(value - 1))
        elif isinstance(value, int):
            self.replace("constant", node, str(value * 2))
            self.replace("constant", node, str(value // 2))
        elif isinstance(value, float):
            self.replace("constant", node, repr(value * 2 if value else 1.0))
            self.replace("constant", node, repr(value / 2 if value else -1.0))

    def visit_Call(self, node: ast.Call) -> None:
        name = _name(node.func)
        if name in TEXT_CALLS:
            return
        if name in CALLS:
            self.add("call", self.end(node.func) - len(name), self.end(node.func), CALLS[name])
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                self.replace("entry dropped", value, "{}")
            else:
                self.add("entry dropped", self.begin(key), self.end(value), "**{}")
        for value in node.values:
            self.visit(value)

    def visit_List(self, node: ast.List) -> None:
        self.drop_elements(node)

    def visit_Set(self, node: ast.Set) -> None:
        self.drop_elements(node)

    def drop_elements(self, node: ast.List | ast.Set | ast.Tuple) -> None:
        for element in node.elts:
            self.replace("element dropped", element, "*()")
        if not isinstance(node, ast.Tuple):
            self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        names = [_name(target) for target in node.targets]
        if {"__all__", "__slots__"} & {*names} or _is_type(node.value):
            return
        if not all(isinstance(target, ast.Name | ast.Tuple) for target in node.targets):
            self.drop(node)
        if isinstance(node.value, ast.Tuple) and isinstance(node.targets[0], ast.Name):
            self.drop_elements(node.value)
        self.generic_visit(node)

    def visit_For(self, node: ast.For | ast.comprehension) -> None:
        if isinstance(node.iter, ast.Tuple):
            self.drop_elements(node.iter)
        for condition in node.ifs if isinstance(node, ast.comprehension) else []:
            self.negate(condition)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self.visit_For(node)

    def visit_If(self, node: ast.If) -> None:
        if {"TYPE_CHECKING", "__name__"} & {_name(part) for part in ast.walk(node.test)}:
            return
        self.replace("condition never met", node.test, "False")
        self.negate(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.negate(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self.negate(node.test)
        self.generic_visit(node)

    def negate(self, test: ast.expr) -> None:
        """Where no other mutant of the condition is its negation already."""
        opposite = isinstance(test, ast.Compare) and isinstance(
            test.ops[0], ast.Eq | ast.NotEq | ast.Is | ast.IsNot | ast.In | ast.NotIn
        )
        negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
        if not (opposite or negated or isinstance(test, ast.Constant)):
            self.replace("condition negated", test, f"not ({self.text(test)})")

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None:
            return
        returns = self.functions[-1].returns if self.functions else None
        for empty in _empty_values(returns):
            if not (isinstance(node.value, ast.Constant) and node.value.value is None and empty == "None"):
                self.replace("nothing returned", node.value, empty)
        if _name(returns or node) == "bool" and isinstance(node.value, ast.Call | ast.Name | ast.Attribute):
            self.replace("answer negated", node.value, f"not {self.text(node.value)}")
        self.visit(node.value)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return
        if isinstance(node.value, ast.Call) and _name(node.value.func) not in TEXT_CALLS:
            self.drop(node)
        self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        self.drop(node)

    def visit_Continue(self, node: ast.Continue | ast.Break | ast.Delete) -> None:
        self.drop(node)

    def visit_Break(self, node: ast.Break) -> None:
        self.drop(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        self.drop(node)

    def drop(self, node: ast.stmt) -> None:
        self.replace("statement dropped", node, "pass")


def _span(node: ast.stmt | ast.match_case) -> tuple[int, int]:
    """The lines of a statement, without those of the statements inside it."""
    if isinstance(node, ast.match_case):
        return node.pattern.lineno, max(node.pattern.lineno, node.body[0].lineno - 1)
    assert node.end_lineno is not None
    inner = [item.lineno for item in getattr(node, "body", [])]
    if isinstance(node, ast.Match):
        inner = [node.cases[0].pattern.lineno]
    return node.lineno, max(node.lineno, min(inner) - 1) if inner else node.end_lineno


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_type(node: ast.expr) -> bool:
    """Whether a value is an alias of types, such as `A | B`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return all(_is_type(side) for side in (node.left, node.right))
    return isinstance(node, ast.Name) and (node.id[0].isupper() and not node.id.isupper())


def _empty_values(returns: ast.expr | None) -> Iterator[str]:
    """The values by which a function of this type says nothing."""
    if isinstance(returns, ast.Constant) and isinstance(returns.value, str):
        returns = ast.parse(returns.value, mode="eval").body
    if isinstance(returns, ast.BinOp):
        yield from _empty_values(returns.left)
        yield from _empty_values(returns.right)
    elif isinstance(returns, ast.Constant) and returns.value is None:
        yield "None"
    elif isinstance(returns, ast.Subscript | ast.Name):
        name = _name(returns.value if isinstance(returns, ast.Subscript) else returns)
        if name == "tuple" and not (isinstance(returns, ast.Subscript) and "..." in ast.unparse(returns.slice)):
            # A tuple of fixed length is unpacked by its callers.
            return
        if name in EMPTY:
            yield EMPTY[name]
