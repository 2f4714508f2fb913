"""The vendored files are what the table says, with their licences; the pages load little."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from posixpath import dirname, join, normpath

import pytest

from headrace.server.assets import assets
from tests.support.node import run_node
from tools.refresh_assets import LICENSES, OURS, PACKAGES, VENDOR, faults_in, main

MOST = 120_000
"""Bytes that all pages load in all, each file packed as it is served; headrace.js among them."""

REFERENCE = re.compile(
    r"""(?:<script[^>]*\bsrc=|<link[^>]*\bhref=|(?:^|\n)\s*(?:import|export)\b[^"';]*?|\bimport\()"""
    r"""\s*"([^":]+\.(?:js|css))\""""
)
"""What a page or a module loads, in the forms that we write."""


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(VENDOR, tmp_path / "vendor"))


def test_the_files_are_what_the_table_says() -> None:
    assert list(faults_in(VENDOR)) == []
    main(["--check"])


def test_another_byte_is_noticed(copied: Path) -> None:
    marked = copied / "marked.js"
    marked.write_bytes(marked.read_bytes() + b" ")
    (fault,) = faults_in(copied)
    assert fault.startswith("marked.js: is ")


def test_a_file_too_many_and_one_too_few_are_noticed(copied: Path) -> None:
    (copied / "more.js").touch()
    (copied / "uplot.css").unlink()
    assert list(faults_in(copied)) == [
        "more.js: not in the table",
        "uplot.css: is missing; run `make assets`",
    ]


def test_a_licence_that_is_missing_is_noticed(copied: Path) -> None:
    text = (copied / LICENSES).read_text()
    (copied / LICENSES).write_text(text.replace("preact 10", "preact 9"))
    (fault,) = faults_in(copied)
    assert fault.startswith(f"{LICENSES}: has nothing of preact ")


def test_every_licence_stands_there_whole() -> None:
    sections = re.split(r"^==== .* ====$", (VENDOR / LICENSES).read_text(), flags=re.MULTILINE)[1:]
    assert len(sections) == len(PACKAGES)
    for package, text in zip(PACKAGES, sections, strict=True):
        if "MIT" in package.license:
            assert "Permission is hereby granted, free of charge" in text
        if "Apache-2.0" in package.license:
            assert "Apache License" in text
            assert "END OF TERMS AND CONDITIONS" in text
        if "MPL-2.0" in package.license:
            assert "Mozilla Public License" in text
            assert "Exhibit B" in text


def test_every_file_says_what_it_is_and_asks_for_no_source_map() -> None:
    for package in PACKAGES:
        for file in package.files:
            text = (VENDOR / file.name).read_text()
            assert text.startswith(f"/*! {package.name} {package.version} {file.source} | ")
            header = text.partition("\n")[0].encode()
            assert assets()[f"assets/vendor/{file.name}"].body.startswith(header)
            assert "sourceMappingURL" not in text
    assert all("@license" in (VENDOR / name).read_text() for name in OURS)


async def test_the_files_are_modules_with_the_names_that_the_pages_use() -> None:
    names = (await run_node("vendored.mjs")).split()
    assert {"html", "render", "h", "Component", "Fragment", "createContext"} <= set(names)
    assert {f"use{hook}" for hook in ("State", "Effect", "LayoutEffect", "Ref", "Memo")} <= set(
        names
    )
    assert {"useReducer", "useCallback", "useContext", "useId"} <= set(names)
    assert {"marked.Lexer", "purify.default", "uplot.default"} <= set(names)
    assert not [name for name in names if name.startswith("global.")]


def loaded(page: str) -> set[str]:
    """Everything that a page loads, itself too, as far as its imports lead."""
    found, ahead = set[str](), [page]
    while ahead:
        path = ahead.pop()
        if path in found:
            continue
        found.add(path)
        for address in REFERENCE.findall(assets()[path].body.decode()):
            ahead.append(normpath(join(dirname(path), address)))
    return found


def test_the_pages_are_small() -> None:
    """Both together, and every file that there is, whether or not it is found by its name here."""
    files = assets().keys() - {f"assets/vendor/{LICENSES}"}
    assert loaded("index.html") | loaded("dashboard.html") <= files
    assert sum(len(assets()[path].packed) for path in files) <= MOST


def test_no_file_is_there_for_nothing() -> None:
    files = loaded("index.html") | loaded("dashboard.html")
    assert assets().keys() - files == {f"assets/vendor/{LICENSES}"}


def test_each_page_loads_only_what_it_needs() -> None:
    assert "assets/vendor/uplot.js" not in loaded("index.html")
    assert "assets/vendor/marked.js" in loaded("index.html")
    for page in ("index.html", "dashboard.html"):
        assert loaded(page) >= {"assets/vendor/preact.js", "assets/vendor/htm.js", "headrace.js"}
    assert "assets/vendor/uplot.js" in loaded("dashboard.html")
