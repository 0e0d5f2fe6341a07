"""Places in the source where one change makes a mutant."""

import ast
import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SWAPS: dict[type[ast.AST], Any] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
CHAINED = set(
    'where filter filter_by having with_for_update order_by limit offset distinct execution_options '
    'on_conflict_do_nothing on_conflict_do_update returning join outerjoin correlate lower strip casefold'.split()
)
LOG_METHODS = {'debug', 'info', 'warning', 'error', 'exception', 'critical'}
ANNOTATIONS = {'annotation', 'returns'}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True)
class Mutation:
    """One change of one file.

    start, end: offsets in bytes. lines: the lines of the statement, to find the tests that reach it.
    """

    path: str
    kind: str
    start: int
    end: int
    text: str
    line: int
    lines: range
    in_function: bool

    def apply(self, source: bytes) -> bytes:
        return source[: self.start] + self.text.encode() + source[self.end :]

    def diff(self, source: bytes) -> tuple[str, str]:
        """Return the changed lines before and after, without indentation."""
        first = source.rfind(b'\n', 0, self.start) + 1
        last = source.find(b'\n', self.end)
        after = source[first : self.start] + self.text.encode() + source[self.end : last]
        return unindented(source[first:last]), unindented(after)


def unindented(lines: bytes) -> str:
    return '\n'.join(line.strip() for line in lines.decode().splitlines())


def mutations(path: str, source: bytes) -> list[Mutation]:
    """Return all mutations of a file, in the order of the source."""
    collector = Collector(path, source)
    collector.visit_body(ast.parse(source), in_function=False)
    return sorted(collector.found, key=lambda found: (found.start, found.end, found.text))


def draw(found: list[Mutation], count: int, seed: int) -> list[Mutation]:
    """Return a sample. It draws from one text in four only: most are documentation or keys, which any test notices."""
    source = random.Random(seed)
    found = [mutation for mutation in found if mutation.kind != 'text' or source.random() < 0.25]
    return source.sample(found, min(count, len(found)))


class Collector:
    """Collector of the mutations of one file."""

    def __init__(self, path: str, source: bytes):
        self.path = path
        self.source = source
        self.offsets = [0]
        for line in source.splitlines(keepends=True):
            self.offsets.append(self.offsets[-1] + len(line))
        self.found: list[Mutation] = []

    def offset(self, line: int, column: int) -> int:
        return self.offsets[line - 1] + column

    def visit_body(self, owner: ast.AST, in_function: bool) -> None:
        """Visit the statements of a module, class, function or compound statement."""
        for name in ('body', 'orelse', 'finalbody', 'handlers', 'cases'):
            for statement in getattr(owner, name, []):
                self.visit_statement(statement, owner, in_function)

    def visit_statement(self, node: ast.AST, owner: ast.AST, in_function: bool) -> None:
        if is_skipped(node):
            return
        children = [part for part in ast.iter_child_nodes(node) if not isinstance(part, BLOCKS)]
        first = min([node.lineno, *(part.lineno for part in children if hasattr(part, 'lineno'))])
        last = max([node.lineno, *(part.end_lineno or 0 for part in children if hasattr(part, 'end_lineno'))])
        self.at = range(first, last + 1), in_function
        for kind, new in statement_variants(node, owner):
            self.add(kind, node, new)
        if isinstance(node, ast.If | ast.While) and not isinstance(node.test, ast.Compare | ast.UnaryOp | ast.Constant):
            self.add('condition negated', node.test, ast.UnaryOp(ast.Not(), node.test))
        for decorator in getattr(node, 'decorator_list', []):
            start, end = self.span(decorator)
            self.add_text('decorator removed', decorator.lineno, start - 1, end, '')
        for name, value in ast.iter_fields(node):
            if name in ANNOTATIONS or name in BODIES:
                continue
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, ast.AST):
                    self.visit_expression(part, None)
        self.visit_body(node, in_function or isinstance(node, FUNCTIONS))

    def visit_expression(self, node: ast.AST, anchor: ast.AST | None) -> None:
        """Add the mutations of an expression.

        anchor: the f-string around the node, whose parts have no correct position before Python 3.12.
        """
        if isinstance(node, ast.JoinedStr):
            anchor = anchor or node
        for kind, new in variants(node):
            self.add(kind, anchor or node, copy.deepcopy(anchor, {id(node): new}) if anchor else new)
        for name, value in ast.iter_fields(node):
            if name in ANNOTATIONS or is_log_text(node, name):
                continue
            parts = value if isinstance(value, list) else [value]
            for part in parts[1:] if name == 'args' and is_cast(node) else parts:
                if isinstance(part, ast.AST):
                    self.visit_expression(part, anchor)

    def span(self, node: ast.AST) -> tuple[int, int]:
        return self.offset(node.lineno, node.col_offset), self.offset(node.end_lineno, node.end_col_offset)

    def add(self, kind: str, old: ast.AST, new: ast.AST) -> None:
        if hasattr(old, 'end_col_offset'):
            self.add_text(kind, old.lineno, *self.span(old), ast.unparse(ast.fix_missing_locations(new)))

    def add_text(self, kind: str, line: int, start: int, end: int, text: str) -> None:
        lines, in_function = self.at
        self.found.append(Mutation(self.path, kind, start, end, text, line, lines, in_function))


BODIES = {'body', 'orelse', 'finalbody', 'handlers', 'cases'}
BLOCKS = (ast.stmt, ast.ExceptHandler, ast.match_case)


def is_skipped(node: ast.AST) -> bool:
    """Return whether a statement does nothing to test: imports, docstrings, declarations for type checkers."""
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return True
        case ast.If(test=ast.Name(id='TYPE_CHECKING')) | ast.Assign(targets=[ast.Name(id='__all__')]):
            return True
        case ast.If(test=ast.Compare(left=ast.Name(id='__name__'))):
            return True
        case ast.Assign(value=ast.Call(func=ast.Name(id='TypeVar' | 'ParamSpec'))):
            return True
        case ast.Assign(value=ast.Subscript(value=ast.Name(id='Callable'))):
            return True
    return False


def is_cast(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'cast'


def is_log_text(node: ast.AST, field: str) -> bool:
    return (
        field == 'args'
        and isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LOG_METHODS
    )


def statement_variants(node: ast.AST, owner: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield 'call removed', ast.Pass()
        case ast.Raise():
            yield 'raise removed', ast.Pass()
        case ast.Return(value=ast.AST() as value) if not is_none(value):
            yield 'returns None', ast.Return(ast.Constant(None))
        case ast.Break():
            yield 'break to continue', ast.Continue()
        case ast.Continue():
            yield 'continue to break', ast.Break()
        case ast.AugAssign(op=op) if type(op) in SWAPS:
            yield 'operator', changed(node, op=SWAPS[type(op)]())
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield 'assignment removed', ast.Pass()
        case ast.Assign() | ast.AnnAssign(value=ast.AST()) if isinstance(owner, ast.ClassDef):
            yield 'assignment removed', ast.Pass()


def variants(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield (kind, new node) for each change of one expression."""
    match node:
        case ast.Compare(ops=ops):
            for index, op in enumerate(ops):
                if type(op) in SWAPS:
                    yield 'comparison', changed(node, ops=[*ops[:index], SWAPS[type(op)](), *ops[index + 1 :]])
        case ast.BinOp(op=op) if type(op) in SWAPS:
            yield 'operator', changed(node, op=SWAPS[type(op)]())
        case ast.BoolOp(op=op, values=values):
            yield 'and/or', changed(node, op=SWAPS[type(op)]())
            for index in range(len(values)):
                rest = without(values, index)
                yield 'condition removed', changed(node, values=rest) if len(rest) > 1 else rest[0]
        case ast.UnaryOp(op=ast.Not() | ast.Invert() | ast.USub(), operand=operand):
            yield 'negation removed', operand
        case ast.IfExp(body=body, orelse=orelse):
            yield 'branches swapped', changed(node, body=orelse, orelse=body)
        case ast.Constant(value=bool(value)):
            yield 'constant', ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield 'constant', ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            yield 'constant', ast.Constant(value * 2 + 1)
        case ast.Constant(value=str(value)) if value:
            yield 'text', ast.Constant(value + '~')
        case ast.Constant(value=bytes(value)) if value:
            yield 'constant', ast.Constant(value + b'~')
        case ast.Call(func=func, keywords=keywords):
            match func:
                case ast.Attribute(value=value, attr=attr) if attr in CHAINED:
                    yield 'chained call removed', value
            for index, keyword in enumerate(keywords):
                if keyword.arg:
                    yield 'keyword argument removed', changed(node, keywords=without(keywords, index))
        case ast.List(elts=items, ctx=ast.Load()) | ast.Tuple(elts=items, ctx=ast.Load()) | ast.Set(elts=items):
            for index in range(len(items) if len(items) > 1 else 0):
                yield 'element removed', changed(node, elts=without(items, index))
        case ast.Dict(keys=keys, values=values):
            for index in range(len(keys)):
                yield 'element removed', changed(node, keys=without(keys, index), values=without(values, index))


def changed(node: ast.AST, **fields: object) -> ast.AST:
    return type(node)(**{name: getattr(node, name, None) for name in node._fields} | fields)


def without(items: list[ast.AST], index: int) -> list[ast.AST]:
    return items[:index] + items[index + 1 :]


def is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
