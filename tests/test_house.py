"""The house keeps its shape: floors, sizes, and that table, tests, manual and parsers agree."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import manpage
import pytest

from replican import commands
from replican.effects.setting import KNOWN, KNOWN_OF_REMOTES

HOUSE = Path(__file__).resolve().parents[1]

FLOORS = ["values", "decisions", "effects", "repository", "operations", "plumbing", "porcelain"]
"""Each may import from itself and from those before it."""
FRONTS = ["plumbing", "porcelain"]
FILE_LIMIT = 400
COMMAND_LIMIT = 150


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (HOUSE / folder).rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(HOUSE).with_suffix("").parts
    parts = parts if parts[0] == "replican" else ("replican", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Each import of a file, wherever it stands in it: its line, and the module (or what is taken from one)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names)


def floor_of(module: str) -> str | None:
    """The floor that a module belongs to; None for one outside the house, or that has no floor of its own."""
    parts = module.split(".")
    return parts[1] if parts[0] == "replican" and len(parts) > 1 and parts[1] in FLOORS else None


def is_command(module: str) -> bool:
    parts = module.split(".")
    return len(parts) == 3 and parts[1] in FRONTS and not parts[2].startswith("_")


def test_nothing_imports_from_a_floor_above() -> None:
    wrong = []
    for path in sources("replican", *FRONTS):
        floor = floor_of(module_of(path))
        height = FLOORS.index(floor or "values")  # settings and the table know values only
        for line, module in imports(path):
            other = floor_of(module)
            if other is not None and FLOORS.index(other) > height:
                wrong.append(f"{path.relative_to(HOUSE)}:{line}: {module}")
    assert not wrong, "\n".join(wrong)


def test_no_command_imports_one_beside_it() -> None:
    wrong = []
    for path in sources(*FRONTS):
        own = module_of(path)
        kind = own.split(".")[1]
        names = {row.module for row in commands.COMMANDS if row.kind == kind and row.module != own}
        wrong += [
            f"{path.relative_to(HOUSE)}:{line}: {module}"
            for line, module in imports(path)
            if is_command(own) and any(module == name or module.startswith(f"{name}.") for name in names)
        ]
    assert not wrong, "\n".join(wrong)


def test_the_folders_of_commands_are_never_imported_by_their_bare_names() -> None:
    everywhere = sources("replican", "tests", "bench", *FRONTS)
    wrong = [
        f"{path}:{line}" for path in everywhere for line, module in imports(path) if module.split(".")[0] in FRONTS
    ]
    assert not wrong


def test_only_repository_and_fronts_know_settings_and_nobody_below_the_fronts_the_table() -> None:
    wrong = []
    for path in sources("replican"):
        for line, module in imports(path):
            parts = module.split(".")
            if parts[:2] == ["replican", "settings"] and path.name not in ("repository.py", "settings.py"):
                wrong.append(f"{path.relative_to(HOUSE)}:{line}: settings")
            if parts[:2] == ["replican", "commands"]:
                wrong.append(f"{path.relative_to(HOUSE)}:{line}: commands")
    assert not wrong, "\n".join(wrong)


FORBIDDEN_NAMES = {"print", "input", "exit", "quit", "breakpoint"}
FORBIDDEN_ATTRIBUTES = {
    ("sys", name) for name in ("exit", "argv", "stdin", "stdout", "stderr", "__stdout__", "__stderr__")
} | {("os", name) for name in ("environ", "environb", "getenv", "getenvb", "putenv", "get_exec_path", "abort")}


def test_the_library_neither_prints_nor_exits_nor_reads_the_environment() -> None:
    wrong = []
    for path in sources("replican"):
        if path.name == "settings.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_NAMES:
                    wrong.append(f"{path.relative_to(HOUSE)}:{node.lineno}: {name}()")
                case ast.Attribute(value=ast.Name(id=owner), attr=name) if (owner, name) in FORBIDDEN_ATTRIBUTES:
                    wrong.append(f"{path.relative_to(HOUSE)}:{node.lineno}: {owner}.{name}")
                case ast.ImportFrom(module=("os" | "sys") as owner, names=names):
                    wrong += [
                        f"{path.relative_to(HOUSE)}:{node.lineno}: from {owner} import {name.name}"
                        for name in names
                        if (owner, name.name) in FORBIDDEN_ATTRIBUTES
                    ]
                case ast.Name(id="SystemExit"):
                    wrong.append(f"{path.relative_to(HOUSE)}:{node.lineno}: SystemExit")
    assert not wrong, "\n".join(wrong)


def test_files_are_short() -> None:
    wrong = []
    for path in sources("replican", "tests", "bench", *FRONTS):
        length = len(path.read_text(encoding="utf-8").splitlines())
        limit = COMMAND_LIMIT if is_command(module_of(path)) else FILE_LIMIT
        if length > limit:
            wrong.append(f"{path.relative_to(HOUSE)}: {length} lines, {limit} allowed")
    assert not wrong, "\n".join(wrong)


def test_every_setting_is_read_by_something_and_is_in_the_manual() -> None:
    code = "".join(
        path.read_text(encoding="utf-8")
        for path in sources("replican", *FRONTS)
        if module_of(path) != "replican.effects.setting"
    )
    page = (HOUSE / "man/replican-config.1").read_text(encoding="utf-8")
    for key, setting in KNOWN.items():
        assert f'"{key}"' in code, f"{key} is read by nothing"
        default = "empty" if setting.default == "" else setting.default
        assert f'\n.BR {key} " ({default})"\n' in page, f"{key} is not in replican-config(1), with its default"
    for name in KNOWN_OF_REMOTES:
        assert f"\n.BI remote. NAME .{name}\n" in page, f"remote.NAME.{name} is not in replican-config(1)"


def test_every_file_begins_by_saying_what_it_is() -> None:
    for path in sources("replican", *FRONTS):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{path} has no docstring"


@pytest.mark.parametrize("row", commands.COMMANDS, ids=lambda row: row.name)
def test_a_command_has_its_file_its_test_and_its_page(row: commands.CommandRow) -> None:
    stem = row.name.replace("-", "_")
    assert (HOUSE / row.kind / f"{stem}.py").exists()
    assert (HOUSE / "tests" / row.kind / f"test_{stem}.py").exists()
    assert (HOUSE / "man" / f"replican-{row.name}.1").exists()


@pytest.mark.parametrize("row", commands.COMMANDS, ids=lambda row: row.name)
def test_a_page_agrees_with_the_table_and_the_parser(row: commands.CommandRow) -> None:
    assert not manpage.lacks(row)


def test_every_command_stands_in_the_table() -> None:
    found = {module_of(path) for path in sources(*FRONTS) if is_command(module_of(path))}
    assert found == {row.module for row in commands.COMMANDS}


def test_every_page_belongs_to_something() -> None:
    known = {f"replican-{row.name}.1" for row in commands.COMMANDS}
    others = ("attributes.5", "format.5", "protocol.7", "glossary.7", "events.7", "hooks.7")
    known |= {"replican.1", *(f"replican-{name}" for name in others)}
    assert {path.name for path in (HOUSE / "man").iterdir()} <= known


def test_the_overview_page_names_every_command_and_global_option() -> None:
    assert not manpage.overview_lacks()


def test_groups_of_the_table_are_not_torn() -> None:
    groups = [row.group for row in commands.COMMANDS]
    once = [group for at, group in enumerate(groups) if at == 0 or groups[at - 1] != group]
    assert len(once) == len(set(once))
    kinds = [row.kind for row in commands.COMMANDS]
    assert kinds == sorted(kinds, reverse=True), "porcelain comes first"


def test_the_dispatcher_imports_little(tmp_path: Path) -> None:
    heavy = {"typer", "rich", "dulwich", "sqlite3", "json", "tomllib", "tomlkit", "xxhash", "msgspec", "zstandard"}
    heavy |= {"inspect", "dataclasses"}
    script = f"import sys, replican.porcelain._main, replican.plumbing.hash_object; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "set()\n"


PAGES = ["ARCHITECTURE.md", "docs/modules.md", "docs/invariants.md"]
"""The way through the house, what is in its rooms, and what always holds in it."""


def pages() -> str:
    return "\n".join([(HOUSE / page).read_text(encoding="utf-8") for page in PAGES])


def test_the_architecture_is_one_page() -> None:
    page = (HOUSE / PAGES[0]).read_text(encoding="utf-8")
    assert len(page.splitlines()) <= 90, "what a room has in it belongs into docs/modules.md"
    assert [other for other in PAGES[1:] if f"({other})" not in page] == []


def test_the_pages_know_the_rooms_that_there_are() -> None:
    """What they name is there, and no room is left out."""
    page = pages()
    named = re.findall(r"`(?:replican/)?((?:values|decisions|effects|operations)/\w+)`", page)
    assert [room for room in named if not (HOUSE / "replican" / f"{room}.py").exists()] == []
    for floor in ("values", "decisions", "effects", "operations"):
        rooms = [path.stem for path in sources(f"replican/{floor}") if path.stem != "__init__"]
        assert [room for room in rooms if f"`{room}`" not in page and f"{floor}/{room}`" not in page] == []


def test_each_test_that_the_pages_name_is_there() -> None:
    page = pages()
    assert [file for file in re.findall(r"`(tests/[\w/.]+)[:`]", page) if not (HOUSE / file).exists()] == []
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) > 10
    assert named == [(file, test) for file, test in named if f"\ndef {test}(" in (HOUSE / file).read_text("utf-8")]


def test_the_version_stands_in_one_place() -> None:
    import replican

    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", replican.__version__)
    changelog = (HOUSE / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"[{replican.__version__}]" in changelog or "[Unreleased]" in changelog
