"""What a model thought and what it said, in every spelling that servers leave in a text."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from econ_env.answers import extract_answer, split_thought
from econ_env.answers.thought import _TAG

HARMONY = "<|channel|>analysis<|message|>2 + 2.<|end|><|start|>assistant<|channel|>final<|message|>The answer is 4."


@pytest.mark.parametrize(
    ("text", "thought", "said"),
    [
        ("<think>2 + 2</think>4", "2 + 2", "4"),
        ("<THINK>2 + 2</Think>4", "2 + 2", "4"),
        ("\n< think>", "", "\n< think>"),
        ("<think >2 + 2</think\n>4", "2 + 2", "4"),
        ('<thinking effort="low" n=3>2 + 2</thinking>4', "2 + 2", "4"),
        ("<thought>2 + 2</thought>4", "2 + 2", "4"),
        ("<thoughts>2 + 2</thoughts>4", "2 + 2", "4"),
        ("<reasoning>2 + 2</reasoning><answer>4</answer>", "2 + 2", "<answer>4</answer>"),
        ("<seed:think>2 + 2</seed:think>4", "2 + 2", "4"),
        ("<longcat_think>2 + 2</longcat_think>4", "2 + 2", "4"),
        ("[THINK]2 + 2[/THINK]4", "2 + 2", "4"),
        ("◁think▷2 + 2◁/think▷4", "2 + 2", "4"),
        ("<|begin_of_thought|>2<|end_of_thought|><|begin_of_solution|>4<|end_of_solution|>", "2", "4"),
        ("<|START_THINKING|>2 + 2<|END_THINKING|><|START_RESPONSE|>4<|END_RESPONSE|>", "2 + 2", "4"),
        ("<|channel>thought\n2 + 2<channel|>4", "2 + 2", "4"),
        ("<think>\n\n</think>\n\n4", "", "\n\n4"),
        ("<think>2 + 2</thinking>4", "2 + 2", "4"),
        ("<think>2</think>So <think>4</think>4", "2\n\n4", "So 4"),
        ("<think>a <think>b</think> c</think>4", "a <think>b\n\nc", "4"),
        ("<think>\n<think>\nOkay</think>4", "<think>\nOkay", "4"),
        ("2 + 2</think>4", "2 + 2", "4"),
        ("It costs $2.</think>It costs $4.", "It costs $2.", "It costs $4."),
        ("<think>2 + 2 is 4, so", "2 + 2 is 4, so", ""),
        ("Plan: <think> Okay, the user", "Okay, the user", "Plan: "),
        ("4.\n<think>wait", "wait", "4.\n"),
        (HARMONY, "2 + 2.", "The answer is 4."),
        (HARMONY + "<|return|>", "2 + 2.", "The answer is 4."),
        (HARMONY.removeprefix("<|channel|>analysis<|message|>"), "2 + 2.", "The answer is 4."),
        ("<|channel|>analysis<|message|>2 +", "2 +", ""),
        ("<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}", "{}", ""),
        ("<|channel|>final<|message|>4", "", "4"),
        ("analysisWe add 2 and 2.assistantfinalThe answer is 4.", "We add 2 and 2.", "The answer is 4."),
        ("We add 2 and 2.assistantfinal4", "We add 2 and 2.", "4"),
        ("analysisWe add 2 and", "We add 2 and", ""),
    ],
)
def test_thought_is_what_stands_in_tags_or_channels(text, thought, said):
    assert split_thought(text) == (thought, said)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The answer is 4.",
        "1 < 2 and 3 > 2, so I think <b> 4",
        "Write `<think>` first and `</think>` last. The answer is 4.",
        "```html\n<think>\n</think>\n```\nThe answer is 4.",
        'The tags are "<think>" and "</think>". The answer is 4.',
        r"The tag \texttt{</think>} has 8 characters.",
        "The <think> tag opens it. The answer is 4.",
        "f <thinking about it> 4",
        "I [think] 4",
        "analysis of the data: 4",
        "Our analysis is final: 4",
        '{"reasoning": "`</think>` has 8 characters", "answer": "8"}',
    ],
)
def test_a_tag_that_is_only_mentioned_takes_nothing_away(text):
    assert split_thought(text) == ("", text)


def test_each_text_of_a_json_reply_is_parted_alone():
    said = '{"reasoning": "2 + 2 is 4.", "answer": "4"}'
    assert split_thought('<think>{"answer": "5"}</think>\n' + said) == ('{"answer": "5"}', "\n" + said)
    assert split_thought('{"reasoning": "<think>hm</think>2 + 2 is 4.", "answer": "4"}') == ("hm", said)
    assert split_thought('{"reasoning": "hm</think> 2 + 2 is 4.", "answer": "4"}') == ("hm", said)
    assert split_thought('```json\n{"reasoning": "hm</think>2 + 2 is 4.", "answer": "4"}\n```') == ("hm", said)
    assert split_thought('{"reasoning": "r", "answer": "<think>4"}').said == '{"reasoning": "r", "answer": ""}'


def has_no_tag(text):
    found = (
        _TAG.search(text) or "<|channel|>" in text or "assistantfinal" in text or re.match(r"\s*analysis[A-Z]", text)
    )
    return not found


ANY = st.text(alphabet=st.sampled_from('ab .,\n`"{}[]<>/|$5?◁▷')) | st.text()
PLAIN = ANY.filter(has_no_tag)
PAIRS = [("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("<seed:think>", "</seed:think>"), ("◁think▷", "◁/think▷")]
TAGGED = st.lists(ANY | st.sampled_from([tag for pair in PAIRS for tag in pair]), max_size=8).map("".join)


@given(PLAIN)
def test_a_text_without_tags_comes_back_unchanged(text):
    assert split_thought(text) == ("", text)


@given(PLAIN, TAGGED, st.sampled_from(PAIRS))
@example("`", "`</think>` ends it", PAIRS[0])
@example("```\nx", "\n```\n<think>\n```\n5", PAIRS[0])
@example("x", '{"answer": "<think>"}', PAIRS[0])
def test_a_thought_in_front_changes_nothing_of_what_is_said(thought, said, pair):
    opened, closed = pair
    whole = f"{opened}{thought}{closed}{said}"
    assert split_thought(whole).said == split_thought(said).said
    assert thought.strip() in split_thought(whole).thought


@pytest.mark.parametrize(
    "text",
    [r"<thinking>\boxed{17}</thinking>\boxed{18}", r"[THINK]\boxed{17}[/THINK]\boxed{18}", "17.assistantfinal18"],
)
def test_an_answer_is_read_only_in_what_is_said(text):
    assert extract_answer(text).answer == "18"


@pytest.mark.parametrize("text", [r"<thinking>\boxed{17}", r"<seed:think>\boxed{17}", HARMONY.partition("<|end|>")[0]])
def test_a_thought_that_never_ended_has_no_answer(text):
    assert extract_answer(text).answer is None
