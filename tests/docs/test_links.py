"""Every link within the documentation leads somewhere, and every page is reached by one."""

from __future__ import annotations

from pathlib import Path

from tests.docs.pages import ROOT, anchors, links, name, pages

STARTS = ("README.md", "benchmarks.md")  # the second is written by `make bench`


def broken(page: Path, text: str) -> list[str]:
    found = []
    for link in links(text):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        if not path.exists():
            found.append(f"{link}: no such file")
        elif anchor and anchor not in anchors(path.read_text("utf-8")):
            found.append(f"{link}: no such heading")
    return found


def test_links_lead_somewhere() -> None:
    found = [f"{name(page)}: {why}" for page in pages() for why in broken(page, page.read_text())]
    assert not found, "\n" + "\n".join(found)


def test_every_page_is_linked_from_another() -> None:
    reached = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in pages()
        for link in links(page.read_text("utf-8"))
        if not link.startswith("http")
    }
    # A link to a folder reaches what is in it.
    folders = {path for path in reached if path.is_dir() and path != ROOT}
    lost = [
        name(page)
        for page in pages()
        if page not in reached and page.parent not in folders and page.name not in STARTS
    ]
    assert not lost


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    text = "# One `two`\n[a](#one-two) [b](#two) [c](b.md) [d](https://example.org)\n"
    page.write_text(text)
    assert broken(page, text) == ["#two: no such heading", "b.md: no such file"]


def test_code_holds_no_links() -> None:
    assert links("```\n[a](b.md)\n```\n`[c](d.md)` and [`e`](f.md)\n") == ["f.md"]
