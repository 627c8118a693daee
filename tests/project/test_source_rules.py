"""The house rules of CONTRIBUTING.md that no linter knows."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable

import pytest

MODULE_LINES_MAX = 350
FUNCTION_LINES_MAX = 60
LINES_MAX = {"gateway/pipeline.py": 150}
DOCSTRING_LINES_MAX = 6
BANNED_NAMES = {"utils", "util", "helpers", "helper", "manager", "base", "common", "misc"}
BOUNDS = {  # what can grow -> (keyword that bounds it, its position among the arguments)
    "Queue": ("maxsize", 0),
    "LifoQueue": ("maxsize", 0),
    "PriorityQueue": ("maxsize", 0),
    "deque": ("maxlen", 1),
    "lru_cache": ("maxsize", 0),
}
UNBOUNDED = {"SimpleQueue", "cache"}
REASON = re.compile(r"#\s*(bounded|unbounded):\s*\S")


def _none(problems: Iterable[str]) -> None:
    found = list(problems)
    assert not found, "\n" + "\n".join(found)


def test_every_module_says_in_one_to_six_lines_what_it_is_for(modules):
    def problems():
        for module in modules:
            docstring = ast.get_docstring(module.tree)
            if not docstring:
                yield f"{module.name}:1: no module docstring"
                continue
            lines = len(docstring.splitlines())
            if lines > DOCSTRING_LINES_MAX:
                yield f"{module.name}:1: module docstring of {lines} lines, at most {DOCSTRING_LINES_MAX}"

    _none(problems())


def test_modules_are_short(modules):
    def problems():
        for module in modules:
            lines, limit = len(module.text.splitlines()), LINES_MAX.get(module.name, MODULE_LINES_MAX)
            if lines > limit:
                yield f"{module.name}: {lines} lines, at most {limit}"

    _none(problems())


def test_functions_are_short(modules):
    def problems():
        for module in modules:
            for node in ast.walk(module.tree):
                if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    continue
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    where = f"{module.name}:{node.lineno}: {node.name}"
                    yield f"{where} has {lines} lines, at most {FUNCTION_LINES_MAX}"

    _none(problems())


def test_no_module_has_a_name_that_says_nothing(modules):
    _none(f"{m.name}: name it after what it holds" for m in modules if m.path.stem in BANNED_NAMES)


def test_every_queue_and_cache_has_a_bound(modules):
    """Or a comment on its line: ``# bounded: <by what>``."""
    _none(problem for module in modules for problem in unbounded(module.name, module.text, module.tree))


def unbounded(name: str, text: str, tree: ast.Module) -> Iterable[str]:
    lines = text.splitlines()
    for node, called, arguments, keywords in _calls(tree):
        keyword, position = BOUNDS.get(called, ("", 0))
        bound = next((k.value for k in keywords if k.arg == keyword), None)
        if bound is None and keyword and len(arguments) > position:
            bound = arguments[position]
        missing = bound is None or (isinstance(bound, ast.Constant) and bound.value in (None, 0, -1))
        if called == "lru_cache" and bound is None:
            missing = False  # its default is 128
        reasoned = any(REASON.search(line) for line in lines[node.lineno - 1 : node.end_lineno])
        if (called in UNBOUNDED or (keyword and missing)) and not reasoned:
            yield f"{name}:{node.lineno}: {called} without a bound"


def _calls(tree: ast.Module) -> Iterable[tuple[ast.expr, str, list[ast.expr], list[ast.keyword]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node, _last_name(node.func), node.args, node.keywords
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                if not isinstance(decorator, ast.Call) and _last_name(decorator) == "cache":
                    yield decorator, "cache", [], []
        # field(default_factory=deque) makes an unbounded one without a call of its own
        if (
            isinstance(node, ast.keyword)
            and node.arg == "default_factory"
            and _last_name(node.value) in BOUNDS
        ):
            yield node.value, _last_name(node.value), [], []


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize(
    ("line", "caught"),
    [
        ("q = asyncio.Queue()", True),
        ("q = asyncio.Queue(0)", True),
        ("q = asyncio.Queue(maxsize=10)", False),
        ("q: deque[int] = deque()", True),
        ("q = collections.deque([], None)", True),
        ("q = deque(maxlen=LIMIT)", False),
        ("q = deque()  # bounded: by max_inflight, checked in offer()", False),
        ("q = deque()  # bounded:", True),
        ("q: deque[int] = field(default_factory=deque)", True),
        ("q = queue.SimpleQueue()", True),
        ("@functools.cache\ndef f(x): ...", True),
        ("@lru_cache(maxsize=None)\ndef f(x): ...", True),
        ("@lru_cache\ndef f(x): ...", False),
    ],
)
def test_the_bound_rule_catches_what_it_should(line, caught):
    assert bool(list(unbounded("x.py", line, ast.parse(line)))) is caught


def test_every_room_introduces_itself_and_holds_nothing_else(modules):
    def problems():
        for module in modules:
            if module.path.name != "__init__.py" or module.name.count("/") < 2:
                continue
            rest = [node for node in module.tree.body if not _is_docstring(node)]
            if rest:
                yield f"{module.name}:{rest[0].lineno}: a room's __init__ holds its docstring alone"

    _none(problems())


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_every_folder_with_modules_is_a_package(modules):
    known = {module.name for module in modules}
    folders = {module.name.rsplit("/", 1)[0] for module in modules}
    _none(
        f"{folder}/__init__.py is missing"
        for folder in sorted(folders)
        if f"{folder}/__init__.py" not in known
    )


def test_architecture_maps_every_module(modules, texts):
    """One line a module, by its name from ``gateway/`` or ``simulators/``; rooms by their folder."""
    text = texts.get("ARCHITECTURE.md", "")
    named = set(re.findall(r"[\w./]+", text))

    def problems():
        for module in modules:
            short = module.name.removeprefix("gateway/").removeprefix("simulators/")
            if module.path.name != "__init__.py":
                names = {module.name, short, module.path.name, module.path.stem}
            else:
                names = {module.name.removesuffix("__init__.py"), short.removesuffix("__init__.py")}
            if not named & names:
                yield f"ARCHITECTURE.md has no line for {module.name}"

    _none(problems())


def test_what_tests_import_by_name_has_one_name_each(root):
    """Test directories are no packages: of two modules of one name the first found is taken."""
    files = [file.name for file in (root / "tests").glob("*/*.py") if not file.name.startswith("test_")]
    seen = Counter(name for name in files if name != "conftest.py")
    _none(f"tests/*/{name}: {count} times" for name, count in seen.items() if count > 1)
