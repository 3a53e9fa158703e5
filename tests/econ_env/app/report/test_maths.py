import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from econ_env.app.report.maths import ATTRIBUTES, ELEMENTS, Converter, RenderedFormula, find_formulas, to_tree


def formulas(text):
    return [part.latex for part in find_formulas(text) if isinstance(part, RenderedFormula)]


def convert(*texts):
    converter = Converter()
    converter.learn(texts)
    return [converter.pieces(text) for text in texts]


def source(pieces):
    return "".join(piece if isinstance(piece, str) else piece[0] for piece in pieces)


def elements(tree):
    if not isinstance(tree, str):
        yield tree
        for child in tree[2]:
            yield from elements(child)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"so \(a+b\) and \[c\] and $$d$$", ["a+b", "c", "d"]),
        (r"$x = 3$ boxes", ["x = 3"]),
        (r"$\frac{1}{2}$ of $12", [r"\frac{1}{2}"]),
        (r"thus \boxed{\frac{1}{2}}.", [r"\boxed{\frac{1}{2}}"]),
        ("costs $5 and $6 left", []),
        ("$5 * 3 = $15", []),
        ("costs $5, then $6, or $7-$8 and $9/box", []),
        ("from $3 to 4$", []),
        ("the points $(3, -1)$ and $(12, -8)$", ["(3, -1)", "(12, -8)"]),
        ("$10$ or $x$", ["10", "x"]),
        (r"\$5 = \$6", []),
        (r"\(never closed", []),
        ("", []),
    ],
)
def test_formulas_are_told_from_money(text, found):
    assert formulas(text) == found


def test_a_formula_becomes_mathml_with_its_source():
    ((formula,),) = convert(r"\(\frac{1}{2} < x\)")
    assert formula[0] == r"\(\frac{1}{2} < x\)"
    tags = [node[0] for node in elements(formula[1])]
    assert tags == ["math", "mfrac", "mn", "mn", "mo", "mi"]
    assert "<" in json.dumps(formula[1])


@pytest.mark.parametrize(
    "text",
    [
        r"\(" + "(" * 40 + r"\)",  # exponential time in the converter
        r"\(" + "{" * 490 + "x" + "}" * 490 + r"\)",  # deep recursion
        r"\(\href{javascript:alert(1)}{x}\)",
        r"\(\frac{1\)",
        r"\(\def\a{\a\a}\a\)",
    ],
)
def test_what_can_not_be_converted_stays_text_and_does_not_harm_the_others(text):
    before, odd, after = convert(r"\(x\)", text, r"\(y\)")
    assert source(odd) == text
    assert all(isinstance(piece, str) or len(json.dumps(piece)) < 50_000 for piece in odd)
    assert [isinstance(pieces[0], list) for pieces in (before, after)] == [True, True]


@pytest.mark.faults
def test_a_converter_that_ends_again_and_again_is_given_up(monkeypatch):
    monkeypatch.setattr("econ_env.app.report.maths.MAX_RESTARTS", 1)
    bad = [rf"\({'(' * 40}{n}\)" for n in range(4)]
    assert [source(pieces) for pieces in convert(*bad, r"\(x\)")] == [*bad, r"\(x\)"]


@pytest.mark.parametrize(
    "markup",
    [
        "<svg><script>alert(1)</script></svg>",
        "<math><mi>x</mi>",
        "<math/><math/>",
        "<math>" + "<mrow>" * 100 + "</mrow>" * 100 + "</math>",
    ],
)
def test_other_markup_is_refused(markup):
    assert to_tree(markup) is None


def test_unknown_elements_and_attributes_are_left_out():
    tree = to_tree(
        '<math onclick="x()" href="y"><script src="z">1</script><mi style="color: red" lspace="0">a</mi></math>'
    )
    assert tree == ["math", {}, [["mrow", {}, ["1"]], ["mi", {"lspace": "0"}, ["a"]]]]


@given(st.lists(st.sampled_from(["\\(", "\\)", "$", "$$", "\\[", "\\]", "x", "=", " ", "{", "}", "\\boxed{", "\n"])))
def test_nothing_of_a_text_is_lost(parts):
    text = "".join(parts)
    assert "".join(part if isinstance(part, str) else part.source for part in find_formulas(text)) == text


PARTS = [
    "<script>",
    "</script>",
    "<mi href='x'>",
    "</mi>",
    "<svg onload='x()'/>",
    "<a style='x'/>",
    "x",
    "&amp;",
    "&lt;",
]


@given(st.lists(st.sampled_from(PARTS), max_size=6))
def test_only_listed_elements_and_attributes_ever_come_out(parts):
    tree = to_tree(f"<math>{''.join(parts)}</math>")
    for tag, attributes, _ in elements(tree) if tree else ():
        assert tag in ELEMENTS
        assert set(attributes) <= ATTRIBUTES


def test_long_hopeless_texts_take_no_time():
    for text in ("$" * 20_000, r"\(" * 20_000, r"\boxed{" * 5_000, "$x=" * 10_000):
        assert source(Converter().pieces(text)) == text
