"""Modules and style sheets that are made up, with what could be misread at every turn."""

from __future__ import annotations

from random import Random

Tokens = list[str]

BLANKS = (
    *("", "", " ", " ", "  ", "\t", "\n", "\n  \n", " // it's `${ \n", "//\n", "/**/", "/* ' */"),
    *(" /* // */ ", '/* \n " \n*/', "/*! L */", " /**\n * @license Apache-2.0\n */ ", "/* } */"),
)
ATOMS = (
    *("a", "1", "1.5", ".5", "1.", "0x1f", "10n", "$", "π", "this", "a.if", "a . return", "a?.of"),
    *('"//"', "'/*'", '"\\"/*"', "'\\\\'", '"`${"', "/[/]\\//g", "/'/", '/[\\]"`/*]+/u', "/=/"),
    *("`//`", "`\\`/* \\${ '`", "`$ {}\n  // a`", "async", "get", "x++", "x--"),
)
UNARY = ("typeof", "!", "-", "+", "void", "~", "delete", "new")
BINARY = (
    *("+", "-", "*", "/", "%", "<", ">", ">>", "===", "&&", "in", "instanceof", ",", "=", "/="),
    *("?.", ".", "**", "??"),
)
LARGER = (
    *("( A O A )", "( A O A )", "U A", "`//${ A }'/*${ A }\n·` / 2", "f ( A )", "[ A ] / 2"),
    *("( { if : A } )", "( x ) => A", "( function ( ) { return A } )", "A ? A : /:/", "[ ... A ]"),
)
"""Expressions: A is for another one, O and U for an operator, · for a space."""

STATEMENTS = (
    "x = A ;",
    "if ( A ) /'/ . test ( ) ;",
    "while ( A ) break ;",
    "for ( const y of [ A ] ) ;",
    "class B { #p = A ; static get z ( ) { return A ; } }",
    "do x ++ ; while ( A ) ;",
    "a . if ( A ) / 2 / A ;",
)
RULES = (
    *(
        ".a .b",
        ".a.b",
        "a > b",
        "a:hover",
        "a :hover",
        "#c::before",
        "[d='{;}']",
        "a\\; b",
        "\\31 x",
    ),
    *("a , b", ":is( .a , .b )", "a:not( :hover )"),
)
DECLARATIONS = (
    *(
        "color : red",
        "content : '/* a */'",
        'content: "a  ;  }"',
        "margin : 1px  2px",
        "--x :  a , b",
    ),
    *("width: calc( 1px + 2px )", "background : url( //x/*y )", "background: url('a  b')", "--y:"),
    *("font: 1rem/1.5 a , 'b  c'", "color: red !important", "transition: a 1s , b 2s"),
)


def module(random: Random) -> str:
    """A module's text, of up to four statements; not every one is valid."""
    chosen = random.choices(STATEMENTS, k=random.randint(1, 4))
    return _spread(random, [token for one in chosen for token in _filled(random, one, 3)], BLANKS)


def sheet(random: Random) -> str:
    """A style sheet's text, of which a browser leaves out what is not valid."""
    tokens = Tokens()
    for _ in range(random.randint(1, 3)):
        declarations = random.choices(DECLARATIONS, k=random.randint(0, 3))
        body = [part for declaration in declarations for part in (*_parts(declaration), ";")]
        tokens += [*_parts(random.choice(RULES)), "{", *body, "}"]
    return _spread(random, tokens, [blank for blank in BLANKS if "//" not in blank])


def _filled(random: Random, pattern: str, depth: int) -> Tokens:
    """The tokens of a pattern; `depth` is how many expressions may lie in one another."""
    tokens = Tokens()
    for token in pattern.split(" "):
        if token == "A" and (depth == 0 or random.random() < 0.4):
            tokens.append(random.choice(ATOMS))
        elif token == "A":
            tokens += _filled(random, random.choice(LARGER), depth - 1)
        else:
            operators = {"O": BINARY, "U": UNARY}.get(token)
            tokens.append(random.choice(operators) if operators else token.replace("·", " "))
    return tokens


def _parts(token: str) -> Tokens:
    """A selector or declaration, so that blanks come into it where it has one already."""
    if any(mark in token for mark in ("'", '"', "url(", "\\")):
        return [token]
    return [part for word in token.split(" ") for part in (word, " ")][:-1]


def _spread(random: Random, tokens: Tokens, blanks: Tokens | tuple[str, ...]) -> str:
    """The tokens with something between them."""
    return "".join(token + random.choice(blanks) for token in tokens)
