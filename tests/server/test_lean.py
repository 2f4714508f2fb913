"""What becomes of a script's and a style sheet's text; pages/test_lean.py: it means the same."""

from __future__ import annotations

import pytest

from headrace.server.lean import lean_css, lean_js


@pytest.mark.parametrize(
    ("source", "lean"),
    [
        ("  const a = 1; // one\n\n  b();\n", "const a=1;\n\nb();\n"),
        ("/**\n * What\n * it is\n */\na /* b */ = c;", "\n\n\n\na=c;"),
        ("a\n  // b\n  ++c", "a\n\n++c"),
        ("return /* a\n */ b", "return\nb"),
        # two tokens that would become one
        ("a + +b - -c + ++d", "a+ +b- -c+ ++d"),
        ("a / /b/ / /* c */ d", "a/ /b/ / d"),
        ("a = !b && !c, d => -e, a ? +b : ~c", "a=!b&&!c,d=>-e,a?+b:~c"),
        ("a < !b, a * /b/, a ? .b : c", "a< !b,a* /b/,a? .b:c"),
        ("1. in a, [... b]", "1. in a,[... b]"),
        ("1 .toFixed(), a ? .5 : b", "1 .toFixed(),a? .5:b"),
        ("/a/ in b, 'a' in b, typeof/**/a", "/a/ in b,'a'in b,typeof a"),
        # what no comment begins in
        ("a = '//' + \"/*\" + '\\'//' // b", "a='//'+\"/*\"+'\\'//'"),
        ("a = /[/]\\/\\[//* b */.test(c)", "a=/[/]\\/\\[/ .test(c)"),
        ("`  // a  ${ b /* c */ }  /* d  ` // e", "`  // a  ${b}  /* d  `"),
        ("`a${ `b  ${ {c: `}  ` } }  ` }  \\`  \\${  ` ", "`a${`b  ${{c:`}  `}}  `}  \\`  \\${  `"),
        # dividing or not
        ("a / 2 / '/'", "a/ 2/'/'"),
        ("(a) / 2 /* b */", "(a)/ 2"),
        ("if (a('(')) / 2 /.test(b)", "if(a('('))/ 2 /.test(b)"),
        ("for await (a of b()) / 2 /.test(b)", "for await(a of b())/ 2 /.test(b)"),
        ("a.if (b) / 2 / c", "a.if(b)/ 2/ c"),
        ("a[0] / 2 /* b */, a++ / 2 / c, `a` / 2 / c", "a[0]/ 2,a++ / 2/ c,`a`/ 2/ c"),
        ("a.return / 2 / c, a\n. of / 2 / c, 1. / 2 / c", "a.return/ 2/ c,a\n. of/ 2/ c,1. / 2/ c"),
        ("typeof / 2 /, returned / 2 / c", "typeof/ 2 /,returned/ 2/ c"),
        ("[...typeof / 2 /]", "[...typeof/ 2 /]"),
        # licences
        ("/*! a\n * b */ c", "/*! a * b */\nc"),
        ("/**\n * a\n * @license B-2.0\n */\nc", "/*! @license B-2.0 */\n\n\n\nc"),
        ("a / /*! b */ c", "a/ /*! b */c"),
        ("", ""),
    ],
)
def test_a_script(source: str, lean: str) -> None:
    assert lean_js(source) == lean


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("a\n\n{ } / 2", r"Line 3: whether this slash divides cannot be told"),
        ("for (a of /b/) ;", r"Line 1: whether this slash"),
        ("a\n/* b", r"Line 2: '/' begins nothing"),
        ("a = 'b\n'", r"Line 1: \"'\" begins"),
        ("a\n`b${ c", r"Line 2: a brace is not closed"),
        ("`b", r"Line 1: '`' begins"),
        ("a = /b\n/", r"Line 1: '/' begins"),
        ("\n}", r"Line 2: a brace closes nothing"),
        ("a) / 2", r"Line 1: a parenthesis closes nothing"),
        ("a\u00a0b", r"Line 1: '\\xa0' begins"),
        ("// a\u2028b", r"Line 1: '\\u2028' begins"),
    ],
)
def test_what_is_not_known_is_told(source: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        lean_js(source)


@pytest.mark.parametrize(
    ("source", "lean"),
    [
        ("/* a */\n.b ,\n.c  {\n  color : red ;\n}\n", ".b,.c{color :red;}"),
        (".a  .b > .c:d  :e { --f: 1px  2px }", ".a .b > .c:d :e{--f:1px 2px}"),
        ("a { width: calc(1px + 2px) }", "a{width:calc(1px + 2px)}"),
        (".a/* b\n */.c/**/.d /* e */ .f", ".a/**/.c/**/.d .f"),
        ('a { b: \'/* c */  ;  \' , "\\"/*  " }', 'a{b:\'/* c */  ;  \',"\\"/*  "}'),
        ("a { b: url(//c/*d*/e  ) , url( '//  f' ) }", "a{b:url(//c/*d*/e  ),url( '//  f' )}"),
        (".a\\; .b, .c\\31 .d { }", ".a\\; .b,.c\\31 .d{}"),
        ("/*! a\n */ b /* @license C */ { }", "/*! a */b/*! @license C */{}"),
        ("@media (hover: none) and (a) { b { c: d } }", "@media (hover:none) and (a){b{c:d}}"),
        ("", ""),
    ],
)
def test_a_style_sheet(source: str, lean: str) -> None:
    assert lean_css(source) == lean
