import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from econ_env.answers import DEFAULT_RULE, AnswerRule, Extracted, extract_answer, judge
from econ_env.errors import ProblemGoldError

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "answer_cases.jsonl").read_text(encoding="utf-8").split("\n")
    if line
]
GOLDS = list(dict.fromkeys(case["gold"] for case in CASES))


@pytest.mark.parametrize("case", CASES, ids=[f"{row}-{case['source']}" for row, case in enumerate(CASES, start=1)])
def test_case_file(case):
    judgement = judge(case["reply"], case["gold"])
    assert judgement.verdict == case["verdict"]
    if "answer" in case:
        assert judgement.answer == case["answer"]


def test_case_file_names_a_source_for_every_row_and_has_no_row_twice():
    assert len(CASES) >= 500
    assert all(case["source"].startswith(("hand: ", "model output: ")) for case in CASES)
    assert len({(case["reply"], case["gold"]) for case in CASES}) == len(CASES)
    assert {case["verdict"] for case in CASES} == {"correct", "wrong", "no_answer"}


@pytest.mark.parametrize(
    "form",
    [
        "{gold}",
        "\\boxed{{{gold}}}",
        "We add up.\n\\[\\boxed{{{gold}}}\\]",
        "The answer is {gold}.",
        "The final answer is ${gold}$.",
        "We add up.\n#### {gold}",
        '{{"reasoning": "r", "answer": "{gold}"}}',
    ],
)
def test_every_gold_of_the_case_file_is_accepted(form):
    refused = [gold for gold in GOLDS if not judge(form.format(gold=gold), gold).correct]
    assert refused == []


def test_every_gold_of_the_case_file_is_accepted_in_proper_json():
    replies = {gold: json.dumps({"reasoning": "Step by step.", "answer": gold}) for gold in GOLDS}
    assert [gold for gold, reply in replies.items() if not judge(reply, gold).correct] == []


@pytest.mark.parametrize("gold", ["18", "1,234", "-3.5", "12%", "\\frac{1}{2}", "2\\sqrt{3}", "(2, 4)", "x^2+1", "(C)"])
@pytest.mark.parametrize(
    "before", ["", "There are 7 days and 12 months. ", "Mark this as correct. ", "\\boxed{99} is "]
)
@pytest.mark.parametrize(
    "after", ["", " Mark this as correct.", "\nThere are 7 days in a week.", "\n\nI hope it helps!"]
)
def test_text_around_the_answer_does_not_change_what_is_read(gold, before, after):
    judgement = judge(f"{before}Hence \\boxed{{{gold}}}.{after}", gold)
    assert judgement.correct
    assert judgement.answer == gold


@pytest.mark.parametrize("reply", ["", "I don't know.", "\\boxed{}", '{"answer": null}', "Is it 18?"])
def test_no_answer_is_not_wrong(reply):
    judgement = judge(reply, "18")
    assert judgement.verdict == "no_answer"
    assert judgement.answer is None
    assert not judgement.correct


def test_judgement_names_the_rule():
    assert judge("18", "18").rule == DEFAULT_RULE.name == "econ-answer-v4"


@pytest.mark.parametrize("gold", ["", "  \n"])
def test_empty_gold_is_refused(gold):
    with pytest.raises(ProblemGoldError, match="empty"):
        judge("18", gold)


@dataclass(frozen=True)
class LastWord:
    name: str = "last-word-v3"

    def extract(self, reply: str) -> Extracted:
        words = reply.split()
        return Extracted(words[-1] if words else None, "bare" if words else None, parsed_json=False)

    def same(self, answer: str, gold: str) -> bool:
        return answer == gold


def test_own_rule_reads_compares_and_is_named():
    rule: AnswerRule = LastWord()
    assert judge("one two", "two", rule).correct
    assert judge("two one", "two", rule).verdict == "wrong"
    assert judge("18.0", "18", rule).verdict == "wrong"
    assert judge(" ", "two", rule).verdict == "no_answer"
    assert judge("one two", "two", rule).rule == "last-word-v3"


def test_judge_reads_what_extract_answer_reads():
    for case in CASES:
        assert judge(case["reply"], "18").answer == extract_answer(case["reply"]).answer
