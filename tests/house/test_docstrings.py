"""What is public says what it is for, and which errors of harness it raises."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.house.sources import PACKAGE, modules, tree_of

KINDS = {node.name for node in tree_of(PACKAGE / "errors.py").body if isinstance(node, ast.ClassDef)}


def files() -> Iterator[tuple[str, ast.Module]]:
    return ((str(path.relative_to(PACKAGE)), tree_of(path)) for path in modules())


def public(nodes: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node


def raised(function: ast.FunctionDef) -> set[str]:
    """The kinds of errors.py that a function itself makes and raises."""
    made = [node.exc for node in ast.walk(function) if isinstance(node, ast.Raise)]
    called = [one.func if isinstance(one, ast.Call) else one for one in made]
    return {ast.unparse(one).split(".")[-1] for one in called if one is not None} & KINDS


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Public functions, and public methods of public classes."""
    for node in public(tree.body):
        inner = public(node.body) if isinstance(node, ast.ClassDef) else [node]
        yield from (one for one in inner if isinstance(one, ast.FunctionDef))


def is_command(function: ast.FunctionDef) -> bool:
    """A command's docstring is its help, and its exit codes stand there."""
    return any("command(" in ast.unparse(one) for one in function.decorator_list)


def test_what_is_public_has_a_docstring() -> None:
    bare = [f"{file}:{one.name}" for file, tree in files() for one in public(tree.body) if not ast.get_docstring(one)]
    assert bare == []


def inherited() -> set[tuple[str, tuple[str, ...]]]:
    """Methods (name, arguments) that a base class or a protocol of harness describes already."""
    trees = [node for _, tree in files() for node in tree.body if isinstance(node, ast.ClassDef)]
    named = {ast.unparse(base).split("[")[0].split(".")[-1] for node in trees for base in node.bases}
    bases = [node for node in trees if node.name in named or "Protocol" in map(ast.unparse, node.bases)]
    methods = [one for node in bases for one in public(node.body) if isinstance(one, ast.FunctionDef)]
    return {(one.name, arguments(one)) for one in methods if ast.get_docstring(one)}


def arguments(method: ast.FunctionDef) -> tuple[str, ...]:
    return tuple(one.arg for one in (*method.args.args, *method.args.kwonlyargs))


def is_trivial(method: ast.FunctionDef) -> bool:
    """A property that hands out what it has: `return self._name`."""
    is_property = any("property" in ast.unparse(one) for one in method.decorator_list)
    value = method.body[0].value if isinstance(method.body[0], ast.Return) else None
    return is_property and isinstance(value, ast.Attribute | ast.Name | ast.Constant)


def bare_methods(file: str, tree: ast.Module, described: set[tuple[str, tuple[str, ...]]]) -> Iterator[str]:
    classes = [node for node in public(tree.body) if isinstance(node, ast.ClassDef)]
    methods = [(node, one) for node in classes for one in public(node.body) if isinstance(one, ast.FunctionDef)]
    for node, one in methods:
        if not ast.get_docstring(one) and not is_trivial(one) and (one.name, arguments(one)) not in described:
            yield f"{file}:{node.name}.{one.name}"


def test_a_public_method_has_a_docstring() -> None:
    described = inherited()
    assert [one for file, tree in files() for one in bare_methods(file, tree, described)] == []


def test_a_bare_method_is_seen() -> None:
    text = (
        "class A:\n  def f(self, x): return x\n  @property\n  def y(self): return self._y\n"
        "  @property\n  def z(self): return 2 * self._y\n  def _g(self): pass\nclass _B:\n  def h(self): pass\n"
    )
    assert list(bare_methods("a.py", ast.parse(text), {("z", ("self", "more"))})) == ["a.py:A.f", "a.py:A.z"]
    assert list(bare_methods("a.py", ast.parse(text), {("z", ("self",))})) == ["a.py:A.f"]


def test_a_public_function_says_which_errors_it_raises() -> None:
    silent = {
        f"{file}:{function.name}": kinds
        for file, tree in files()
        for function in functions(tree)
        if (kinds := raised(function)) and not is_command(function) and not _names(function)
    }
    assert silent == {}


def _names(function: ast.FunctionDef) -> bool:
    return "Errors:" in (ast.get_docstring(function) or "")


def test_the_look_itself_sees_what_it_is_for() -> None:
    text = "def read():\n  '''Reads.'''\n  raise errors.InputError('x') from None\ndef _own(): pass\nclass Bare: pass\n"
    tree = ast.parse(text)
    assert [node.name for node in public(tree.body)] == ["read", "Bare"]
    assert [raised(one) for one in functions(tree)] == [{"InputError"}]
    assert {"HarnessError", "InputError", "LinkError"} <= KINDS
