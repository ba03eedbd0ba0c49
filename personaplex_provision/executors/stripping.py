"""What of a module does not travel: documentation, comments, and in the compiled form annotations and columns.

Line numbers stay, for tracebacks.
"""

from __future__ import annotations
import __future__

import ast
import io
import tokenize
import types


def source(text: bytes) -> bytes:
    """Source without comments and documentation strings, every statement still on its own line."""
    lines = text.decode("utf-8").splitlines()
    for node, alone, described in _documentation(ast.parse(text)):
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        # Columns are in bytes; a statement that shares its lines with another is left as it is.
        before = lines[first].encode()[: node.col_offset].decode()
        after = lines[last].encode()[node.end_col_offset or 0:].decode()
        if before.strip() or after.strip():
            continue
        kept = "'.'" if described else "pass" if alone else ""
        lines[first:last + 1] = [f"{before}{kept}" if kept else "", *[""] * (last - first)]
    source = "\n".join(lines) + "\n"
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    return ("\n".join(lines) + "\n").encode()


def compiled(text: bytes, file: str) -> types.CodeType:
    """The code of a module, which then imports no `typing` that only its annotations need."""
    flags = __future__.annotations.compiler_flag
    tree = bare(text, file)
    for node in ast.walk(tree):
        # Columns would be a quarter of what travels; where the source is not, no traceback shows them.
        if isinstance(node, (ast.expr, ast.stmt, ast.excepthandler, ast.arg, ast.keyword, ast.alias)):
            node.col_offset = node.end_col_offset = -1
            node.end_lineno = node.lineno
    code: types.CodeType = compile(tree, file, "exec", flags, dont_inherit=True)
    return code


def bare(text: bytes, file: str = "<module>") -> ast.Module:
    """The tree of a module without documentation and annotations.

    Those of fields stay: they are what a record consists of, and say what a secret is to become.
    """
    tree = ast.parse(text, file)
    doomed = set()
    for node, _, described in _documentation(tree):
        if described:
            node.value = ast.copy_location(ast.Constant("."), node.value)
        else:
            doomed.add(id(node))
    _without(doomed, tree)
    _Unannotated(tree).visit(tree)
    # What is left of them, of fields, is compiled as text.
    texts = {id(one) for node in ast.walk(tree) if isinstance(node, ast.AnnAssign) for one in ast.walk(node.annotation)}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in texts}
    doomed = set()  # a new one: what is gone has left its identity to others
    for one in ast.walk(tree):
        if isinstance(one, ast.ImportFrom) and one.module == "typing":
            one.names = [name for name in one.names if (name.asname or name.name) in used]
        if isinstance(one, ast.ImportFrom) and (one.module == "__future__" or not one.names):
            doomed.add(id(one))
    _without(doomed, tree)
    return tree


def _without(doomed: set[int], tree: ast.Module) -> None:
    for holder in ast.walk(tree):
        for name in ("body", "orelse"):
            body = getattr(holder, name, None)
            if isinstance(body, list):
                kept = [one for one in body if id(one) not in doomed]
                if body and not kept and name == "body" and not isinstance(holder, ast.Module):
                    kept = [ast.copy_location(ast.Pass(), body[0])]
                setattr(holder, name, kept)


class _Unannotated(ast.NodeTransformer):
    """Takes off annotations, aliases of types, and what is only for a type checker."""

    def __init__(self, tree: ast.Module) -> None:
        self.typing = {
            one.asname or one.name
            for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "typing" for one in node.names
        }
        self.top = {id(node) for node in tree.body}
        self.fields = {
            id(node) for holder in ast.walk(tree) if isinstance(holder, ast.ClassDef) for node in holder.body
        }

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return node.orelse
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.returns = None
        node.body = node.body or [ast.copy_location(ast.Pass(), node)]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt | None:
        self.generic_visit(node)
        if id(node) in self.fields and not ast.unparse(node.annotation).startswith("ClassVar"):
            return node
        if node.value is None:
            return None
        return ast.copy_location(ast.Assign([node.target], node.value), node)

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        self.generic_visit(node)
        value = node.value.value if isinstance(node.value, ast.Subscript) else node.value
        if id(node) in self.top and isinstance(value, ast.Name) and value.id in self.typing:
            node.value = ast.copy_location(ast.Constant(None), node.value)
        return node


def _documentation(tree: ast.Module) -> list[tuple[ast.Expr, bool, bool]]:
    """Statements that are only a string, whether each is all that its block holds, and whether it tells of a class.

    A class keeps something in that place: a dataclass without any makes itself a text at a cost of milliseconds.
    """
    found = []
    for holder in ast.walk(tree):
        body = getattr(holder, "body", None)
        if not isinstance(body, list):
            continue
        strings = [
            one for one in body
            if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) and isinstance(one.value.value, str)
        ]
        only = len(strings) == len(body) and not isinstance(holder, ast.Module)
        of_class = isinstance(holder, ast.ClassDef)
        found += [(one, only and one is strings[0], of_class and one is body[0]) for one in strings]
    return found
