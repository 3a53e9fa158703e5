import pytest

from econ_env.answers import extract_answer
from econ_env.answers.extract import MAX_REPLY


@pytest.mark.parametrize(
    ("reply", "answer", "origin"),
    [
        ('{"reasoning": "\\\\boxed{1}", "answer": "2"}', "2", "json"),
        ('{"answer": "2"} but \\boxed{3} and #### 4', "2", "json"),
        ("#### 4\n\\boxed{3}\nThe answer is 5.", "3", "boxed"),
        ("The answer is 5.\n#### 4\nIn all 6.", "4", "hash"),
        ("In all 6. The answer is 5. There are 7 days.", "5", "phrase"),
        ("x = 5", "x = 5", "bare"),
        ("Evelyn", "Evelyn", "bare"),
        ("There are 7 days and she works on 6 of them.", "6", "number"),
        ("There is no number in this sentence.", None, None),
    ],
)
def test_order_of_reading(reply, answer, origin):
    read = extract_answer(reply)
    assert (read.answer, read.origin) == (answer, origin)


@pytest.mark.parametrize(
    ("reply", "parsed"),
    [
        ('{"reasoning": "r", "answer": "18"}', True),
        (' \n{"answer": 18}\n', True),
        ('```json\n{"answer": "18"}\n```', True),
        ('```\n{"answer": "18"}\n```', True),
        ('{"answer": null}', True),
        ('{"answer": "\\frac{1}{2}"}', True),
        ('Sure: {"answer": "18"}', False),
        ('{"answer": "18",}', False),
        ('{"answer": "\\sqrt{2}"}', False),
        ('{"result": "18"}', False),
        ('["answer", 18]', False),
        ("18", False),
        ("", False),
    ],
)
def test_parsed_json_tells_whether_the_reply_is_the_json_that_was_asked_for(reply, parsed):
    assert extract_answer(reply).parsed_json is parsed


def test_json_without_answer_stands_even_if_its_reasoning_has_numbers():
    read = extract_answer('{"reasoning": "it is 18", "answer": null}')
    assert (read.answer, read.origin, read.parsed_json) == (None, None, True)


@pytest.mark.parametrize("fence", ["", "```json\n"])
@pytest.mark.parametrize("answer", ["18", "\\\\frac{1}{2}", "(2, 4)", "18 eggs"])
def test_json_has_no_answer_before_its_answer_is_complete(fence, answer):
    start = fence + '{"reasoning": "Each of 3 trays holds 6 eggs, so 6 * 3 = 18", "answer": "' + answer
    assert {extract_answer(start[:end]).answer for end in range(len(fence) + 1, len(start) + 1)} == {None}
    assert extract_answer(start + '"').answer == extract_answer(start + '"}').answer == answer.replace("\\\\", "\\")


def test_a_text_that_breaks_off_has_its_answer_only_if_marked():
    for start in ("So she has 18 eggs.", "Then 6 trays of 3 make 18."):
        assert extract_answer(start).answer == "18"
        for end in (" This is the", " Next we", " With \\( x", " 5 +", "\n\nNow, after that,", "\n```python\nx"):
            assert extract_answer(start + end).answer is None
            assert extract_answer(f"The answer is 18. {start}{end}").answer == "18"


def test_only_the_end_of_a_very_long_reply_is_read():
    filler = "word " * MAX_REPLY
    assert extract_answer("\\boxed{17} " + filler + "\\boxed{18}").answer == "18"
    assert extract_answer("\\boxed{17} " + filler).answer is None


def test_whole_json_is_read_however_long_its_reasoning():
    assert extract_answer('{"reasoning": "' + "word " * MAX_REPLY + '", "answer": "18"}').parsed_json


def test_thoughts_are_not_read():
    assert extract_answer("<think>\\boxed{17}</think>\\boxed{18}").answer == "18"
    assert extract_answer("<think>\\boxed{17}</think>").answer is None
    assert extract_answer("<think>\\boxed{17}").answer is None


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("\\boxed{a_{b_{c}}}", "a_{b_{c}}"),
        ("\\boxed{1} and then \\boxed{\\frac{3}{4}}", "\\frac{3}{4}"),
        ("\\boxed{\\text{if } x = \\sqrt{\\frac{1}{2}}}", "\\text{if } x = \\sqrt{\\frac{1}{2}}"),
    ],
)
def test_braces_of_a_box_are_counted(reply, answer):
    assert extract_answer(reply).answer == answer


def test_boxes_in_one_list_are_one_answer_and_boxes_in_two_sentences_are_not():
    assert extract_answer("\\boxed{5} or \\boxed{6}").answer == "5, 6"
    assert extract_answer("It is \\boxed{5}. No, it is \\boxed{6}.").answer == "6"
