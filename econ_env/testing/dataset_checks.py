"""Checks that a data set of any source can be used for training and testing.

>>> from econ_env.testing import check_dataset
>>> check_dataset("my_package:my_problems")
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from functools import partial

from econ_env.answers import DEFAULT_RULE, AnswerRule, judge
from econ_env.errors import (
    ProblemGoldError,
    ProblemSplitError,
)
from econ_env.problems.load import ProblemSet, Source, load_problems
from econ_env.records import Judgement, Problem
from econ_env.testing.violations import Violations


def check_dataset(
    source: Source,
    *,
    question_field: str | None = None,
    answer_field: str | None = None,
    context_field: str | None = None,
    choices_field: str | None = None,
    rule: AnswerRule = DEFAULT_RULE,
) -> None:
    """Check that a data set always loads alike, that the judge accepts its gold answers, and that splits differ.

    Args:
        source: As in `load_problems`; of several splits, `train` and `test` are checked.
        question_field: Column of the question, if it has another name.
        answer_field: Column of the answer, if it has another name.
        context_field: Column with what comes before the question, if it has another name; `""` for none.
        choices_field: Column of the choices, if it has another name; `""` for none.
        rule: The judge.

    Raises:
        CheckError: All errors found, one per line.
    """

    def load(split: str | None) -> ProblemSet:
        return load_problems(
            source,
            split=split,
            question_field=question_field,
            answer_field=answer_field,
            context_field=context_field,
            choices_field=choices_field,
        )

    with Violations() as found:
        splits: dict[str, ProblemSet] = {}
        with found.guarding("loading it"):
            for split in ("train", "test"):
                try:
                    splits[split] = load(split)
                except ProblemSplitError:  # a table without splits is a training set, and others may lack one of them
                    continue
            if not splits:
                splits["the only split"] = load(None)
        for name, problems in splits.items():
            with found.guarding(f"loading {name} again"):
                again = load(name if name in ("train", "test") else None)
                found.require(again == problems, f"{name} must have the same problems in the same order each time")
            _check_problems(found, name, problems, rule)
        train, test = ({p.question.strip() for p in splits.get(name, ())} for name in ("train", "test"))
        both = sorted(train & test)
        found.require(not both, f"no question may be in train and in test, but {len(both)} are, such as {both[:1]}")


def _check_problems(found: Violations, name: str, problems: ProblemSet, rule: AnswerRule) -> None:
    golds: defaultdict[str, set[str]] = defaultdict(set)
    for problem in problems:
        golds[problem.question.strip()].add(problem.answer)
    found.require("" not in golds, f"every question of {name} must have text")
    torn = [question for question, answers in golds.items() if len(answers) > 1]
    found.require(not torn, f"a question must have one gold answer, but {len(torn)} of {name} have more: {torn[:1]}")
    often = Counter(problem.question.strip() for problem in problems).most_common(1)
    repeated = bool(often) and often[0][1] > 1
    found.require(not repeated, f"no question of {name} may come twice, such as {often[:1]}")
    try:
        check_problems(problems, judge=partial(judge, rule=rule))
    except ProblemGoldError as error:
        found.require(False, f"{name}: {error}")


def check_problems(problems: Iterable[Problem], judge: Callable[[str, str], Judgement] | None = None) -> int:
    r"""Ask the judge whether it accepts every gold answer as a reply: plain, in `\boxed{}`, and in JSON.

    Of a choice, `(C) 5`, only the letter is asked for: its text may be a sentence, which no one replies alone.

    Args:
        problems: What to check.
        judge: Called with reply and gold; by default `econ_env.answers.judge`.

    Returns:
        How many problems were checked.

    Raises:
        ProblemGoldError: A gold is not accepted; the message counts them and names the first few with their form.
    """
    if judge is None:
        from econ_env.answers import judge as standard_judge

        judge = standard_judge
    count = 0
    refused = []
    for problem in problems:
        count += 1
        choice = re.match(r"\([A-J]\)(?= )", problem.answer)
        answer = choice[0] if choice else problem.answer
        forms = {
            "plain": answer,
            "boxed": f"\\boxed{{{answer}}}",
            "json": json.dumps({"reasoning": "Worked out step by step.", "answer": answer}),
        }
        for form, reply in forms.items():
            if not judge(reply, problem.answer).correct:
                refused.append(f"{problem.id} ({form}: {problem.answer})")
    if refused:
        more = ", ..." if len(refused) > 5 else ""
        raise ProblemGoldError(
            f"the judge does not accept {len(refused)} forms of {count} gold answers: {', '.join(refused[:5])}{more}"
        )
    return count
