"""Points between the statements of a module, so that races of plain attributes are found, too.

The code of each function is replaced by one that comes to a point before every statement, between
the operands of `and` and `or`, at each turn of a loop, and between the reading and the writing
half of `x += 1`. A trace function cannot do that: greenlets share it, and one that switches away
inside it leaves all others untraced. Woven code is faster, besides, and the same on every Python.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from types import CodeType, FunctionType, ModuleType
from typing import TypeVar

from tests.simulation.world import World

_POINT = "__point__"
_BETWEEN = "__between__"

E = TypeVar("E", bound=ast.AST)


class _Weaver(ast.NodeTransformer):
    """Puts calls of `__point__` and `__between__` into the functions of a module."""

    def __init__(self) -> None:
        self._depth = 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1
        node.body = self._woven(node.body, keeps_first=ast.get_docstring(node) is not None)
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self.generic_visit(node)
        node.body = _after_point(node.body)
        return node

    def visit_While(self, node: ast.While) -> ast.AST:
        self.generic_visit(node)
        node.test = _after_point(node.test)
        node.body = self._woven(node.body)
        return node

    def visit_For(self, node: ast.For) -> ast.AST:
        return self._with_body(node)

    def visit_If(self, node: ast.If) -> ast.AST:
        self._with_body(node)
        node.orelse = self._woven(node.orelse)
        return node

    def visit_With(self, node: ast.With) -> ast.AST:
        return self._with_body(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        return self._with_body(node)

    def visit_Try(self, node: ast.Try) -> ast.AST:
        self._with_body(node)
        node.orelse = self._woven(node.orelse)
        node.finalbody = self._woven(node.finalbody)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        if self._depth:
            node.values[1:] = [_after_point(value) for value in node.values[1:]]
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if self._depth and not isinstance(node.target, ast.Name):
            node.value = _at(node.value, ast.Call(_name(_BETWEEN), [node.value], []))
        return node

    def _with_body(
        self, node: ast.For | ast.If | ast.With | ast.Try | ast.ExceptHandler
    ) -> ast.AST:
        self.generic_visit(node)
        node.body = self._woven(node.body)
        return node

    def _woven(self, body: list[ast.stmt], *, keeps_first: bool = False) -> list[ast.stmt]:
        woven: list[ast.stmt] = body[:1] if keeps_first else []
        for statement in body[1:] if keeps_first else body:
            if not isinstance(statement, ast.Nonlocal | ast.Global | ast.Pass):
                woven.append(_at(statement, ast.Expr(_call_point(statement.lineno))))
            woven.append(statement)
        return woven


def _name(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _at(node: ast.AST, new: E) -> E:
    """Return a new node that stands where another one does."""
    return ast.fix_missing_locations(ast.copy_location(new, node))


def _call_point(line: int) -> ast.Call:
    return ast.Call(_name(_POINT), [ast.Constant(line)], [])


def _after_point(value: ast.expr) -> ast.expr:
    """Return an expression that comes to a point, which gives None, and then is the other one."""
    return _at(value, ast.BoolOp(ast.Or(), [_call_point(value.lineno), value]))


@cache
def _codes(module: ModuleType) -> dict[tuple[str, int], CodeType]:
    """Return the woven code of the functions of a module, by name and first line."""
    tree = _Weaver().visit(ast.parse(inspect.getsource(module)))
    found: dict[tuple[str, int], CodeType] = {}
    # Without inheriting the future of this module, but with that of the woven one.
    waiting = [compile(tree, inspect.getfile(module), "exec", dont_inherit=True)]
    while waiting:
        code = waiting.pop()
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                found[constant.co_qualname, constant.co_firstlineno] = constant
                waiting.append(constant)
    return found


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    """Yield the functions and methods that a module defines."""
    waiting = list(vars(module).values())
    while waiting:
        value = waiting.pop()
        if isinstance(value, property):
            waiting += [value.fget, value.fset]
        elif isinstance(value, classmethod | staticmethod):
            waiting.append(value.__func__)
        elif isinstance(value, FunctionType):
            if inspect.unwrap(value).__module__ == module.__name__:
                yield inspect.unwrap(value)
        elif isinstance(value, type) and value.__module__ == module.__name__:
            waiting += vars(value).values()


@contextmanager
def woven(world: World, modules: Iterable[ModuleType]) -> Iterator[None]:
    """Have the functions of modules come to a point at each statement."""

    def point(line: int) -> None:
        world.point("line", line)

    def between(value: object) -> object:
        world.point("between")
        return value

    restore: list[tuple[FunctionType, CodeType]] = []
    names: dict[str, Callable[..., object]] = {_POINT: point, _BETWEEN: between}
    chosen = list(modules)
    try:
        for module in chosen:
            vars(module).update(names)
            codes = _codes(module)
            for function in set(_functions(module)):
                code = codes.get((function.__code__.co_qualname, function.__code__.co_firstlineno))
                if code is not None and code.co_freevars == function.__code__.co_freevars:
                    restore.append((function, function.__code__))
                    function.__code__ = code
        yield
    finally:
        for function, code in restore:
            function.__code__ = code
        for module in chosen:
            for name in names:
                vars(module).pop(name, None)
