"""Files and functions stay small: in the house as it is, and each limit shown to bite."""

from __future__ import annotations

from pathlib import Path

from tests.house.sizes import faults, to_think_of

ROOT = Path(__file__).parents[2]


def sources() -> dict[str, str]:
    files = [
        file for top in ("src", "tests", "bench", "examples") for file in (ROOT / top).rglob("*.py")
    ]
    return {file.relative_to(ROOT).as_posix(): file.read_text("utf-8") for file in sorted(files)}


def test_files_and_functions_stay_small() -> None:
    files = sources()
    found = [fault for path, text in files.items() for fault in faults(path, text)]
    think = [word for path, text in files.items() if (word := to_think_of(path, text))]
    assert not found, "\n" + "\n".join([*found, *think])


def function(lines: int, above: str = "", docstring: int = 0) -> str:
    doc = ['    """', *["    word"] * (docstring - 2), '    """'] if docstring else []
    body = ["    x = 1"] * (lines - 1)
    return "\n".join([*([above] if above else []), "def f():", *doc, *body])


def test_a_file_at_the_limit_passes_and_one_line_more_fails() -> None:
    assert faults("a.py", "x = 1\n" * 700) == []
    assert faults("a.py", "x = 1\n" * 701) == ["a.py: 701 lines, at most 700: split it"]


def test_a_long_file_is_mentioned() -> None:
    assert to_think_of("a.py", "x = 1\n" * 400) == ""
    assert "401 lines" in to_think_of("a.py", "x = 1\n" * 401)


def test_a_function_over_60_needs_a_defence_and_none_may_pass_100() -> None:
    assert faults("a.py", function(60)) == []
    assert "f has 61 lines, over 60" in faults("a.py", function(61))[0]
    assert faults("a.py", function(61, "# long: one table of cases")) == []
    assert faults("a.py", function(100, "# long: one table of cases")) == []
    assert "at most 100" in faults("a.py", function(101, "# long: one table of cases"))[0]


def test_a_docstring_does_not_count() -> None:
    assert faults("a.py", function(60, docstring=50)) == []
    assert len(faults("a.py", function(61, docstring=50))) == 1


def test_methods_and_async_functions_count_too() -> None:
    inner = function(61).replace("def f", "async def f").replace("\n", "\n    ")
    assert len(faults("a.py", f"class A:\n    {inner}")) == 1
