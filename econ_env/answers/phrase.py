"""Reads the answer after "the answer is", or a reply that is only an answer."""

from __future__ import annotations

import re

from econ_env.answers.clean import closing, has_content
from econ_env.answers.forms import Words
from econ_env.answers.last_number import read_statement
from econ_env.answers.parse import read_form
from econ_env.answers.prose import HEDGE, MATH, NUMBER, SENTENCE_END, reads_as_answer, settle

MAX_PHRASES = 20
"""Only the last phrases, at most this many, are read."""

MAX_SENTENCE = 6
"""Most words of an answer that is a sentence at the end of a reply."""

MAX_BARE = 400
"""Most characters of a bare answer."""

_PHRASE = re.compile(
    r"(?i)\b(?:answer|correct\s+(?:option|choice)|final\s+(?:result|value))\b"
    r"(?:\s*=(?=\s*(?:[$\\]|-?\d))"
    r"|[^\n.:=?!]{0,80}?(?:[*_\s]*:|\s+(?:is|are|was|equals|would be|should be|will be|must be)\b))"
    r"(?:\s+(?:that|therefore|thus|then|clearly|indeed|actually|really|now)\b)?[\s:*_=]*(?:(?:\"{3}|`{3})[ \t]*\n\s*)?"
)
_OBJECT = re.compile(
    r"(?i)answer\s+(?:the|this|that|these|those|an?|your|our|my|his|her|their|its|each|every|all|both|any|some|what|how|"
    r"why|which|whether|it|them|me|us|questions?|problems?)\b"
)
_OWNED = re.compile(r"(?i)\b(?:the|an|final|correct|right|last|next|same|your|my|our|this|that)[\s*_]+$")
_ACTING = re.compile(
    r"(?i)\b(?:to|let's|let\s+us|let\s+me|please|can|could|must|should|will|shall|i'll|we'll|we|i|you)\s+"
    r"(?:now\s+|also\s+|then\s+|first\s+)?$"
)
_SEARCHING = re.compile(
    r"(?i)\bto\s+(?:find|get|determine|calculate|compute|obtain|reach|check|verify|figure\s+out|work\s+out)\s+"
    r"(?:the\s+)?(?:final\s+|correct\s+|right\s+)?$"
)
_AT_ONCE = re.compile(r"(?i)answer[*_\s]*[:=]")
_SHORT = re.compile(r"(?i)(?<![\w.])ans(?:\.?\s*(?:[:=](?!=)|\s(?:is|equals)\b)|\.(?=\s*[-\d$\\(]))[\s:*_=]*")
_CALL = re.compile(
    r"(?i)\b(?:final_?)?ans(?:wer)?\(\s*(?:\\?[\"'“](?P<quoted>[^\"'”\\\n]*\w[^\"'”\\\n]*)\\?[\"'”]|(?P<bare>(?-i:[A-J])|-?\d[\d,.]*))\s*\)"
)
_CHOSEN = re.compile(
    r"(?:^|(?<=[\s*,;(\"']))(?:[Oo]ption |[Cc]hoice |[Aa]nswer )?(\(?[A-H]\)?)[*_]*"
    r" is (?:therefore |thus |clearly |indeed )?(?:the )?(?:correct|right)\b"
    r"|\b[Ii](?:'d| would| will|'ll)? (?:choose|pick|select) "
    r"(?:option |choice |answer )?[*_]*(\(?[A-H]\)?)(?=[\s*_]*(?:[.,;!\n]|$))"
)
_SHORT_HINTS = ("ans:", "ans=", "ans =", "ans.", "ans is", "ans equals", "ans :")
_WORDS = re.compile(r"[^\W\d_][^\W\d_'-]*(?:[ '-][^\W\d_]+)*[.!]?")
_VAGUE = re.compile(
    r"(?i)(?:the|an?|that|this|to|found|given|obtained|calculated|as|in|by|from|on|at|based|not|what|how|when|where|if|"
    r"because|since|also|still|we|you|i|it|un\w+)\b|.*n't\b|.*\b(?:not|unclear|unknown)\b"
)
_COMMENT = re.compile(r"(?i)(?:not\s+)?(?:correct|incorrect|wrong)\b")
_STEP = re.compile(r"1[.)]\s+\S")
_OPENING = re.compile(r"(?i)(?:in|on|at|for|after|altogether|finally|overall|now|meaning)\b[^,\d=]{0,40},\s+")
_CODE = ('{"', "{'", "```")
_TWO_SENTENCES = re.compile(r"(?:\d|\w\w)[.!?]\s+[A-Z]")
_EMPHASIS = re.compile(r"(?<!\d)\*\*|\*\*(?!\s*\d)|(?<=[\w%])\*(?=\s+[a-z])")
_PLAIN_MATH = re.compile(r"(?<!\\)\$(-?\d[\d,]*(?:\.\d+)?)\$(?=\s+[a-z])")
_TAG = re.compile(r"(?i)<answer>\s*")
_HEADING = re.compile(r"(?im)^[#*_\s]*(?:the\s+)?(?:final\s+)?answer[*_\s:]*$\s*")
_FILLER = re.compile(r"(?i)(?:h+m+|u+h+|well|alright|wait|let me|let's)\b")
_REFUSAL = re.compile(
    r"(?i)\b(?:i|i'm|im|sorry|unsure|unknown|can't|cannot|don't|dunno|n/a|sure|okay|ok|hello|hi|thanks)\b"
)


def read_phrase(reply: str) -> str | None:
    """Read the text after the last "the answer is" or "answer:" that an answer follows.

    Args:
        reply: A whole reply.

    Returns:
        The answer; `None` if there is no such phrase.
    """
    marks = _marks(reply)
    for count, end in enumerate(sorted(marks, reverse=True)[:MAX_PHRASES]):
        if (given := marks[end]) is not None:
            return given
        if _STEP.match(reply, end) and "\n" in reply[end - 3 : end]:
            continue  # a list of steps begins here
        stretch = _stretch(reply, end)
        if _COMMENT.match(stretch):
            continue  # a comment on another answer
        answer = settle(stretch)
        if answer is not None:
            return answer
        numbers = len(NUMBER.findall(stretch))
        if HEDGE.search(stretch) and numbers > 1:
            return stretch  # several candidates count as one wrong answer
        if count == 0 and (answer := read_statement(stretch) if numbers else _short_sentence(reply, stretch)):
            return answer
    return None


def _marks(reply: str) -> dict[int, str | None]:
    """Where the text after each mark begins; with the answer itself if the mark holds it, as `Answer("C")` does."""
    lower = reply.lower()
    marks: dict[int, str | None] = {}
    if "answer" in lower or "correct" in lower or "final" in lower:
        marks |= {match.end(): None for pattern in (_TAG, _HEADING) for match in pattern.finditer(reply)}
        marks |= {match.end(): None for match in _PHRASE.finditer(reply) if not _is_verb(reply, match.start())}
    if any(hint in lower for hint in _SHORT_HINTS):
        marks |= {match.end(): None for match in _SHORT.finditer(reply)}
    if "ans(" in lower or "answer(" in lower:
        marks |= {match.end(): (match["quoted"] or match["bare"]).strip() for match in _CALL.finditer(reply)}
    return marks


def _is_verb(reply: str, start: int) -> bool:
    """Whether "answer" here is what someone does, as in "let's answer the question:"; then nothing is marked."""
    before = reply[max(0, start - 40) : start]
    if _SEARCHING.search(before):
        return True
    if _ACTING.search(before):
        return not _AT_ONCE.match(reply, start)
    return _OBJECT.match(reply, start) is not None and not _OWNED.search(before)


def _short_sentence(reply: str, stretch: str) -> str | None:
    """A few words at the very end of a reply, such as "infinite number of solutions"; more than a name."""
    words = stretch.split() if _WORDS.fullmatch(stretch) else []
    last = reply.rstrip(" \n.!*_\"'").endswith(stretch.rstrip(" .!*_\"'"))
    return stretch if last and 0 < len(words) <= MAX_SENTENCE and not _VAGUE.match(stretch) else None


def read_chosen(reply: str) -> str | None:
    """Read the letter that the reply calls right or chooses, as in `Option (C) is correct` or `I choose C`.

    Args:
        reply: A whole reply.

    Returns:
        The last such letter, with its brackets; `None` if there is none.
    """
    found = [match[1] or match[2] for match in _CHOSEN.finditer(reply)]
    return found[-1] if found else None


def read_bare(reply: str) -> str | None:
    """Read the reply itself, if it is only an answer.

    Args:
        reply: A whole reply.

    Returns:
        The reply without white space around it, or `None`.
    """
    text = reply.strip()
    if not has_content(text) or "boxed" in text or text.lower() == "n/a" or len(text) > MAX_BARE:
        return None
    if text.startswith(_CODE) or _FILLER.match(text) or _OPENING.match(text) or _TWO_SENTENCES.search(text):
        return None
    if "\n" in text and not text.startswith(("\\", "$")):
        return None
    form = read_form(text)
    if isinstance(form, Words):
        return text if reads_as_answer(form) and not _REFUSAL.search(text) and not text.endswith("?") else None
    return text if reads_as_answer(form) else None


def _stretch(reply: str, start: int) -> str:
    """The text to the end of the sentence, without emphasis marks; a formula that begins here is kept whole."""
    rest = reply[start : start + 600]
    offset = 0
    if math := MATH.match(rest):
        offset = math.end()
    elif rest.startswith(("\\boxed{", "{")):
        offset = closing(rest, rest.index("{")) + 1
    rest = rest.partition("</")[0]
    end = SENTENCE_END.search(rest, offset)
    rest = rest[: end.start() if end else len(rest)].strip().rstrip("*_ ")
    return _PLAIN_MATH.sub(r"\1", _EMPHASIS.sub("", rest))
