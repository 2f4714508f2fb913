"""What a docstring says for a model, in three styles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.tools.docstring import read_docstring

GOOGLE = """Search the catalogue.

    Finds the newest first.

    Args:
        query: What to look for,
            in plain words: anything.
        limit (int): How many.

    Returns:
        list: The titles.
    """
NUMPY = """Search the catalogue.

    Finds the newest first.

    Parameters
    ----------
    query : str
        What to look for,
        in plain words: anything.
    limit : int, optional
        How many.

    Returns
    -------
    list
        The titles.
    """
REST = """Search the catalogue.

    Finds the newest first.

    :param query: What to look for,
        in plain words: anything.
    :param int limit: How many.
    :returns: The titles.
    """


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, REST], ids=["google", "numpy", "rest"])
def test_all_styles_say_the_same(text: str) -> None:
    doc = read_docstring(text)
    assert doc.description == "Search the catalogue.\n\nFinds the newest first."
    assert doc.parameters == {
        "query": "What to look for, in plain words: anything.",
        "limit": "How many.",
    }


def test_no_docstring_says_nothing() -> None:
    assert read_docstring(None) == read_docstring("")
    assert read_docstring(None).parameters == {}


def test_a_colon_in_the_description_is_no_section() -> None:
    doc = read_docstring("Look it up: quickly.\n\nBeware: it is slow.")
    assert doc.description == "Look it up: quickly.\n\nBeware: it is slow."


def test_sections_before_the_arguments_are_left_out() -> None:
    doc = read_docstring("Do it.\n\nReturns:\n    it: done.\n\nArgs:\n    x: The x.")
    assert doc.description == "Do it."
    assert doc.parameters == {"x": "The x."}


@given(st.text(alphabet=" \nabc:-()*Args.paramPeters_", max_size=200))
def test_any_text_is_read(text: str) -> None:
    doc = read_docstring(text)
    assert all(name and about for name, about in doc.parameters.items())
