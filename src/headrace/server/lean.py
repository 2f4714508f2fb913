r"""Scripts and styles as they are served: without comments and without needless white space.

A page is read by people in the repository and by browsers everywhere else; there is no build step,
so this is done when a file is first asked for. The program stays the same, token by token.

- In a script, white space and comments become the line ends in them, or one space where two tokens
  would grow together, or nothing. So automatic semicolons stay where they are (ECMA-262, 12.10),
  and a console names the line where one finds the place in the repository.
- A style sheet becomes one line.
- Strings, templates and regular expressions are left as they are.
- A comment that begins with ``/*!`` stays, on one line; of one with ``@license``, that line does.

It reads what we write, not everything that a browser would: what it cannot tell is an error, and a
test runs it over every file.

Sources: ECMA-262, 12 "ECMAScript Language: Lexical Grammar"; CSS Syntax Module Level 3, 4.
"""

from __future__ import annotations

import re

_PIECE = re.compile(
    r"""
    (?P<blank> (?: [ \t\n\r]+ | //[^\n\r\u2028\u2029]* | /\*[\s\S]*?\*/ )++ )
    | (?P<string> "(?:[^"\\\n\r]|\\(?:\r\n|[\s\S]))*+" | '(?:[^'\\\n\r]|\\(?:\r\n|[\s\S]))*+' )
    | (?P<brace> [{}] )
    | (?P<tick> ` )
    | (?P<slash> /(?![*/]) )
    | (?P<code> [^\s\ufeff"'`{}/]+ )
    """,
    re.VERBOSE,
)
_REGEX = re.compile(r"/(?:[^\\/\[\n\r]|\\.|\[(?:[^\]\\\n\r]|\\.)*+\])++/[\w$]*")
_TEMPLATE = re.compile(r"[`}](?:[^`\\$]|\\[\s\S]|\$(?!\{))*+(?:`|\$\{)")
"""A template from its beginning, or from the end of an expression in it, to the next or its end."""

_APART = re.compile(
    r"(?:[\w$#@\\/.]|[^\x00-\x7f])(?:[\w$#@\\.]|[^\x00-\x7f])"
    r"|(?![=|&?:>][-+!~/])[-+*/<>=!&|?.%^~:]{2}"
)
"""Two characters that may be parts of one token, so that white space between them stays."""

_NOT_A_NAME = r"(?<![\w$#])(?<![^.]\.)(?<![^.]\.\s)"
"""Before a word that is a keyword there: it is not the end of another, and not ``a.word``."""

_BEFORE_REGEX = re.compile(
    _NOT_A_NAME + "(?:await|case|default|delete|do|else|extends|in|instanceof|new|return|throw|"
    "typeof|void|yield)$"
)
_HEAD = re.compile(_NOT_A_NAME + r"(?:if|for|for\sawait|while|with)\s?$")
_ENDS_VALUE = re.compile(r"(?:[\w$\]]\.?|\+\+|--|[^\x00-\x7f])$")
_UNCLEAR = re.compile(r"(?:\}|" + _NOT_A_NAME + "of)$")

_BLANK = re.compile(r"//[^\n\r\u2028\u2029]*|/\*[\s\S]*?\*/|[ \t]+")
_NO_LINE_END = re.compile(r"[^\n\r\u2028\u2029]+")
_LICENSE = re.compile(r"@license[^\n\r*]*")

_CSS = re.compile(
    r"""
    "(?:[^"\\\n]|\\[\s\S])*+" | '(?:[^'\\\n]|\\[\s\S])*+'
    | (?i:url)\(\s*+(?!["'])(?:[^)\\]|\\[\s\S])*+\)
    | \\(?:[0-9a-fA-F]{1,6}|[^\n])[ \t]*+
    | (?P<blank> (?: [ \t\n\r\f]+ | /\*[\s\S]*?\*/ )++ )
    """,
    re.VERBOSE,
)
_CSS_COMMENT = re.compile(r"/\*[\s\S]*?\*/")


def lean_js(text: str) -> str:
    """The same module, lean.

    Raises:
        ValueError: there is something in it that this does not know; with the line. Such is also a
            slash of which only a parser could tell whether it divides: after ``}`` or ``of``.
    """
    return _Script(text).lean()


def lean_css(text: str) -> str:
    """The same style sheet, lean."""
    return _CSS.sub(_css_blank, text)


class _Script:
    """One pass over a module.

    `_shape` is what stands behind us as far as the meaning of a slash depends on it: code as it is,
    white space as one space, values (strings, regular expressions, templates) as ``0``.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._out = list[str]()
        self._shape = list[str]()
        self._open = list[str]()  # the braces: "{", or "${" where a template goes on after it
        self._blank = ""

    def lean(self) -> str:
        while self._at < len(self._text):
            self._step()
        if self._open:
            raise self._fault("a brace is not closed")
        return "".join(self._out) + _thinned(self._blank)

    def _step(self) -> None:
        kind, text = self._match(_PIECE)
        if kind == "blank":
            self._blank, shape = text, " "
        elif kind == "brace" and self._ends_expression(text):
            text, shape = self._template(")")
        elif kind == "tick":
            text, shape = self._template("")
        elif kind == "slash" and not self._divides():
            text, shape = self._match(_REGEX)[1], "0"
        else:
            shape = "0" if kind == "string" else text
        self._at += len(text)
        self._shape.append(shape)
        if kind != "blank":
            self._put(text)

    def _put(self, text: str) -> None:
        if self._blank:
            self._out.append(_joint(self._out[-1][-1] if self._out else "", self._blank, text[0]))
            self._blank = ""
        self._out.append(text)

    def _match(self, pattern: re.Pattern[str]) -> tuple[str, str]:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise self._fault(f"{self._text[self._at]!r} begins nothing that is known here")
        return found.lastgroup or "", found[0]

    def _ends_expression(self, brace: str) -> bool:
        """Takes note of a brace; whether it leads back into a template."""
        if brace == "{":
            self._open.append(brace)
            return False
        if not self._open:
            raise self._fault("a brace closes nothing")
        return self._open.pop() == "${"

    def _template(self, before: str) -> tuple[str, str]:
        """A part of a template, and its shape: its expressions are like arguments of a call."""
        _, text = self._match(_TEMPLATE)
        if text.endswith("${"):
            self._open.append("${")
            return text, f"{before}0("
        return text, f"{before}0"

    def _divides(self) -> bool:
        """Whether a slash that comes now divides; else it begins a regular expression."""
        shape = "".join(self._shape[-6:]).rstrip()
        if _UNCLEAR.search(shape):
            raise self._fault("whether this slash divides cannot be told; write it in another way")
        if shape.endswith(")"):
            return _HEAD.search(self._before_parenthesis()) is None
        return _ENDS_VALUE.search(shape) is not None and _BEFORE_REGEX.search(shape) is None

    def _before_parenthesis(self) -> str:
        """The shape of what stands before the pair of parentheses that has just been closed."""
        depth = 0
        for nth in range(len(self._shape) - 1, -1, -1):
            shape = self._shape[nth]
            for at in range(len(shape) - 1, -1, -1):
                depth += (shape[at] == ")") - (shape[at] == "(")
                if depth == 0 and shape[at] == "(":
                    return "".join(self._shape[max(0, nth - 6) : nth]) + shape[:at]
        raise self._fault("a parenthesis closes nothing")

    def _fault(self, why: str) -> ValueError:
        return ValueError(f"Line {self._text.count(chr(10), 0, self._at) + 1}: {why}.")


def _joint(left: str, blank: str, right: str) -> str:
    """What stays of the white space and the comments between two characters of code."""
    kept = _thinned(blank)
    if kept.startswith("/") and left == "/":
        return f" {kept}"
    return kept or (" " if _APART.fullmatch(left + right) else "")


def _thinned(blank: str) -> str:
    """Line ends and licences."""
    if "/" not in blank:
        return blank.replace(" ", "").replace("\t", "")
    return _BLANK.sub(lambda part: _licence(part[0]) + _NO_LINE_END.sub("", part[0]), blank)


def _licence(comment: str) -> str:
    """What stays of a comment, its line ends aside."""
    if comment.startswith("/*!"):
        return " ".join(comment.split())
    found = _LICENSE.search(comment)
    return f"/*! {found[0].strip()} */" if found else ""


def _css_blank(found: re.Match[str]) -> str:
    """What stays of white space and comments; all else is not for this."""
    blank = found["blank"]
    if blank is None:
        return found[0]
    css, start, end = found.string, found.start(), found.end()
    left, right = css[max(0, start - 1) : start], css[end : end + 1]
    kept = "".join(map(_licence, _CSS_COMMENT.findall(blank)))
    if not left or not right or left in "{};,:" or right in "{};,":
        return kept
    if _CSS_COMMENT.sub("", blank):
        return f"{kept} "
    # A comment alone parts two tokens, but is no white space: `.a/**/.b` is not `.a .b`.
    return kept or "/**/"
