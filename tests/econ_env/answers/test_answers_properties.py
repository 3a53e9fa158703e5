from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from econ_env.answers import DEFAULT_RULE, extract_answer, heaviest, judge, labels_of, majority, same_answer
from econ_env.answers.clean import closing, has_content

RATIONALS = st.fractions(min_value=-(10**6), max_value=10**6, max_denominator=2000)
DECIMALS = st.builds(lambda n, p: Fraction(n, 10**p), st.integers(-(10**9), 10**9), st.integers(0, 6))
ENDINGS = ["{}", "The answer is {}.", "\\boxed{{{}}}", "So it is\n#### {}", "**Answer:** ${}$", '{{"answer": "{}"}}']
GOLDS = [
    "18",
    "-0.5",
    "\\frac{1}{2}",
    "12%",
    "2\\sqrt{3}",
    "(2,4)",
    "[1,5)",
    "Evelyn",
    "(C)",
    "3:30",
    "2:3",
    "1,2,3",
    "x=5",
]
PIECES = [
    "18", "5", " ", "\\frac", "{", "}", "1", "2", ",", ".", "/", "%", "$", "\\boxed{", "\\sqrt{", "^", "_",
    "x", "=", "-", "(", ")", "[", "]", "or", " and ", "answer", " is ", ":", "\\pi", "\\pm", "\\\\", "&",
    '"', "'", "\n", "#", "*", "é", "½", "５", "−", "∞", "!", "|", "<", "\\le", "\\text{", "km", "million",
    "e", "\\begin{pmatrix}", "\\end{pmatrix}", '{"answer": "', "\\cup", "°", "E",
]  # fmt: skip
SOUP = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
TEXTS = st.one_of(st.text(max_size=60), SOUP, st.sampled_from(GOLDS))


def decimal_text(value: Fraction, places: int) -> str:
    scaled = abs(value) * 10**places
    assert scaled.denominator == 1
    digits = str(scaled.numerator).zfill(places + 1)
    whole, part = digits[: len(digits) - places], digits[len(digits) - places :]
    return ("-" if value < 0 else "") + whole + ("." + part if places else "")


def writings(value: Fraction) -> list[str]:
    """Ways to write a rational number."""
    sign, top, bottom = "-" if value < 0 else "", abs(value.numerator), value.denominator
    out = [f"{sign}{top}/{bottom}", f"{sign}\\frac{{{top}}}{{{bottom}}}", f"\\dfrac{{{sign}{3 * top}}}{{{3 * bottom}}}"]
    out.append(f"{sign}{top:,}/{bottom}")
    if top > bottom > 1:
        out += [
            f"{sign}{top // bottom} {top % bottom}/{bottom}",
            f"{sign}{top // bottom}\\frac{{{top % bottom}}}{{{bottom}}}",
        ]
    places = next((p for p in range(10) if (value * 10**p).denominator == 1), None)
    if places is not None:
        plain = decimal_text(value, places)
        whole, dot, part = plain.lstrip("-").partition(".")
        out += [
            plain,
            f"{sign}{int(whole):,}{dot}{part}",
            f"${plain}",
            f"{plain} dollars",
            f"{plain}\\text{{ dollars}}",
        ]
        out += [decimal_text(value, places + 2) if places else plain + ".00", plain.replace("-", "−"), f" {plain} "]
        out += [f"{decimal_text(value, places)}e0", f"{decimal_text(value / 1000, places + 3)} \\times 10^3"]
        out += [plain.translate(str.maketrans("0123456789", "０１２３４５６７８９")), f"x = {plain}", f"({plain})"]
    return out


@given(value=st.one_of(RATIONALS, DECIMALS, st.integers(-(10**7), 10**7).map(Fraction)), data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_number_is_accepted_however_it_is_written(value, data):
    gold = data.draw(st.sampled_from(writings(value)), label="gold")
    reply = data.draw(st.sampled_from(ENDINGS), label="ending").format(
        data.draw(st.sampled_from(writings(value)), label="said")
    )
    assert judge(reply, gold).verdict == "correct"


@given(values=st.tuples(DECIMALS, DECIMALS).filter(lambda pair: pair[0] != pair[1]), data=st.data())
@settings(max_examples=300, deadline=None)
def test_another_number_is_wrong_however_it_is_written(values, data):
    said, gold = values
    reply = data.draw(st.sampled_from(ENDINGS)).format(data.draw(st.sampled_from(writings(said))))
    assert judge(reply, data.draw(st.sampled_from(writings(gold)))).verdict == "wrong"


@given(values=st.tuples(RATIONALS, RATIONALS).filter(lambda pair: pair[0] != pair[1]), data=st.data())
@settings(max_examples=200, deadline=None)
def test_another_fraction_is_wrong(values, data):
    said, gold = (
        data.draw(st.sampled_from([f"{v.numerator}/{v.denominator}", f"\\frac{{{v.numerator}}}{{{v.denominator}}}"]))
        for v in values
    )
    assert not same_answer(said, gold)


@given(numbers=st.lists(st.integers(0, 99), min_size=2, max_size=6, unique=True), data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_list_of_candidates_gains_nothing(numbers, data):
    words = [str(number) for number in numbers]
    listing = data.draw(st.sampled_from([" or ", ", ", "; ", " and ", ", or ", ", maybe "])).join(words)
    reply = data.draw(
        st.sampled_from(["{}", "The answer is {}.", "\\boxed{{{}}}", "#### {}", "It is {}.", '{{"answer": "{}"}}'])
    ).format(listing)
    for gold in words:
        assert judge(reply, gold).verdict == "wrong"


@given(parts=st.lists(st.integers(1, 99), min_size=2, max_size=3), factor=st.integers(1, 50), more=st.integers(1, 9))
@settings(max_examples=200, deadline=None)
def test_ratios_are_the_same_in_proportion(parts, factor, more):
    gold, scaled = ([by * part for part in parts] for by in (100, 100 * factor))  # three digits are no time
    said, other = ":".join(map(str, scaled)), ":".join(map(str, [scaled[0] + more, *scaled[1:]]))
    assert judge(f"The ratio is {said}.", ":".join(map(str, gold))).correct
    assert judge(f"The ratio is {other}.", ":".join(map(str, gold))).verdict == "wrong"


@given(a=TEXTS, b=TEXTS)
@settings(max_examples=200, deadline=None)
def test_same_answer_is_symmetric_and_reflexive(a, b):
    assert same_answer(a, a)
    assert same_answer(a, b) is same_answer(b, a)


@given(reply=st.one_of(st.text(max_size=400), SOUP), gold=st.sampled_from(GOLDS))
@settings(max_examples=300, deadline=None)
def test_judge_never_raises_and_no_answer_means_none(reply, gold):
    judgement = judge(reply, gold)
    assert (judgement.answer is None) == (judgement.verdict == "no_answer")


@given(reply=st.one_of(st.text(max_size=400), SOUP))
@settings(max_examples=300, deadline=None)
def test_what_is_read_stands_in_the_reply(reply):
    read = extract_answer(reply)
    assert (read.answer is None) == (read.origin is None)
    if read.answer is not None and read.origin in ("bare", "number", "phrase"):
        assert read.answer in reply


@given(
    answers=st.lists(
        st.one_of(st.none(), st.integers(0, 3).map(str), st.integers(0, 3).map(lambda n: f"{n}.0")), max_size=12
    )
)
@settings(max_examples=200, deadline=None)
def test_majority_is_the_first_of_the_most_frequent_values(answers):
    values = [float(answer) for answer in answers if answer is not None]
    most = majority(answers)
    if not values:
        assert most is None
        return
    counts = {value: values.count(value) for value in values}
    best = max(counts, key=lambda value: (counts[value], -values.index(value)))
    assert most is not None
    assert (float(most.answer), most.votes) == (best, counts[best])


@given(
    gold=st.lists(
        st.sampled_from([*PIECES, "All powers of ", "for all ", "point ", "\\pm", "th"]), min_size=1, max_size=9
    )
    .map("".join)
    .filter(lambda text: has_content(text) and closing(f"{{{text}}}", 0) == len(text) + 1)
    .filter(lambda text: not any(mark in text for mark in ("box", "#", "answer", "\n")))
)
@settings(max_examples=300, deadline=None)
def test_a_box_equal_to_the_gold_is_always_right(gold):
    assert judge(f"Hence $\\boxed{{{gold}}}$.", gold).correct


@given(st.lists(st.sampled_from(["1/2", "0.5", "3", "x=3", "(C)", "7", None]), max_size=8))
def test_labels_number_different_answers_and_the_heaviest_has_the_majority(answers):
    labels = labels_of(answers, DEFAULT_RULE)
    seen = [label for label in dict.fromkeys(labels) if label >= 0]
    assert seen == list(range(len(seen)))
    assert [label == -1 for label in labels] == [answer is None for answer in answers]
    assert all(labels_of(answers[:count], DEFAULT_RULE) == labels[:count] for count in range(len(answers)))
    for a, x in zip(answers, labels, strict=True):
        for b, y in zip(answers, labels, strict=True):
            if a is not None and b is not None:
                assert (x == y) == same_answer(a, b)
    first, winner = heaviest(labels), majority(answers)
    assert (first is None) == (winner is None)
    if first is not None and winner is not None:
        assert (answers[first], labels.count(labels[first])) == winner
