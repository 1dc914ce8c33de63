"""Sphinx configuration: offline, and every reference to a name of ours must resolve."""

import ast
import pkgutil
import re
import sys
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, TypeVar

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import scanqueue

project = "scanqueue"
author = "The scanqueue developers"
copyright = f"2026, {author}"
release = metadata.version("scanqueue")
version = release.rpartition(".")[0]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"scanqueue {release}"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

default_role = "literal"  # `name` in a docstring is code

# No inventories are loaded: names of the standard library and of the dependencies cannot resolve.
nitpicky = True
_dependencies = {"attr", "attrs", "hypothesis", "sortedcontainers"}
_foreign = "|".join(sorted(_dependencies | sys.stdlib_module_names))
_builtins = "|".join(sorted(vars(import_module("builtins"))))
nitpick_ignore_regex = [(r"py:.*", rf"(({_foreign})(\..+)?|({_builtins}))")]


def _import_for_annotations() -> None:
    """Give each module the names that it imports for type checkers only.

    Autodoc evaluates annotations to show and link them. The blocks under ``if TYPE_CHECKING`` run
    here, when all modules are loaded, since some of them would be circular imports.
    """
    found = pkgutil.walk_packages(scanqueue.__path__, f"{scanqueue.__name__}.")
    for module in [import_module(info.name) for info in found]:
        tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
        for node in tree.body:
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                code = compile(ast.Module(node.body, type_ignores=[]), str(module.__file__), "exec")
                exec(code, vars(module))  # noqa: S102 - it is our own source


def _is_foreign(name: str) -> bool:
    """Tell whether a module of ours has the name from elsewhere, or as a type variable."""
    modules = [vars(module) for path, module in sys.modules.items() if path.startswith("scanqueue")]
    found = [names[name] for names in modules if name in names]
    origins = [str(getattr(value, "__module__", "scanqueue")) for value in found]
    return any(isinstance(value, TypeVar) for value in found) or any(
        origin.partition(".")[0] != "scanqueue" for origin in origins
    )


def _resolve_public_name(
    app: Sphinx,
    env: BuildEnvironment,
    node: addnodes.pending_xref,
    contnode: nodes.TextElement,
) -> nodes.Element | None:
    """Link what an annotation names by where it is defined to where it is documented.

    A class in a private module is documented by its public name, ``scanqueue.ScanQueueService``
    say, while annotations name it ``scanqueue._service.ScanQueueService``.
    """
    if node.get("refdomain") != "py":
        return None
    module, _, name = str(node["reftarget"]).rpartition(".")
    if module and not re.fullmatch(r"scanqueue(\.\w+)*", module):
        return None
    if _is_foreign(name):
        return contnode
    domain: Any = env.domains["py"]
    for documented in sorted(domain.objects, key=len):
        if documented.startswith("scanqueue.") and documented.rpartition(".")[2] == name:
            link: nodes.Element | None = domain.resolve_xref(
                env, node["refdoc"], app.builder, "obj", documented, node, contnode
            )
            return link
    return None


def _before_napoleon(
    _app: Sphinx, what: str, _name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    if what in _ATTRIBUTES:
        _untouched[:] = lines


def _after_napoleon(
    _app: Sphinx, what: str, _name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    """Undo what Napoleon does to an attribute's docstring: it takes "FAILED: why" for a type."""
    if what in _ATTRIBUTES:
        lines[:] = _untouched


_ATTRIBUTES = frozenset({"attribute", "data", "property"})
_untouched: list[str] = []


def setup(app: Sphinx) -> None:
    """Prepare the package, and register what repairs docstrings and links."""
    _import_for_annotations()
    app.connect("autodoc-process-docstring", _before_napoleon, priority=100)
    app.connect("autodoc-process-docstring", _after_napoleon, priority=900)
    app.connect("missing-reference", _resolve_public_name)
