"""Parts a model's text into what it thought and what it said.

Models that think write their thought in front of what they say, between tags or in a channel of its own. Servers often
leave both in one text. Everything that reads or passes on a model's text uses only what `split_thought` calls said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NamedTuple


class Parted(NamedTuple):
    """A text in two parts."""

    thought: str
    """All thought, without its tags; several pieces with an empty line between them. Empty if there is none."""
    said: str
    """The rest, unchanged; if there is no thought, the whole text."""


_WORD = r"(?:think|thinking|thoughts?|reasoning|reason|scratchpad|reflection|analysis|rationale|cot)"
_NAME = rf"(?:[\w.-]+[:_])?{_WORD}"
_ATTRIBUTES = r"""(?:\s+[\w:-]+\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s<>"'=]+))*\s*"""
_TAG = re.compile(
    rf"(?i)(?P<close></\s*{_NAME}\s*>|\[/\s*think\s*\]|◁/\s*think\s*▷|<\|/\s*{_WORD}\s*\|>"
    rf"|<\|\s*end_(?:of_)?{_WORD}\s*\|>|<channel\|>)"
    rf"|(?P<open><{_NAME}{_ATTRIBUTES}>|\[\s*think\s*\]|◁\s*think\s*▷|<\|\s*{_WORD}\s*\|>"
    rf"|<\|\s*(?:begin_of|start)_{_WORD}\s*\|>|<\|channel>thought\b)"
)
_HINT = re.compile(r"(?i)th(?:ink|ought)|reason|scratchpad|channel|reflection|analysis|rationale|cot\b")
_SAID_MARK = re.compile(r"(?i)<\|\s*(?:begin_of|end_of|start|end)_(?:solution|response)\s*\|>")
_CODE = re.compile(
    r"(?m)^[ \t]*(?P<fence>`{3,}|~{3,})[^\n]*\n(?:(?![ \t]*(?P=fence))[^\n]*\n)*+[ \t]*(?P=fence)[ \t]*$"
    r"|(?<!`)(?P<tick>`+)(?!`)[^`\n]++(?P=tick)(?!`)"
)
_WRAPS = {"`": "`", '"': '"', "'": "'", "“": "”", "{": "}", "$": "$"}
_JSON_FENCE = re.compile(r"```(?:json)?\s*(\{.*\})\s*```", re.DOTALL | re.IGNORECASE)

_CHANNEL = re.compile(
    r"(?:<\|start\|>[^<]{0,100})?<\|channel\|>\s*(?P<name>\w+)(?:[^<]|<\|constrain\|>){0,200}+<\|message\|>"
)
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start)\|>")
_STRIPPED_FINAL = "assistantfinal"
_STRIPPED_START = re.compile(r"\s*analysis(?=[A-Z])")


def split_thought(text: str) -> Parted:
    """Part a model's text into thought and what it says.

    Thought is what stands

    * between tags such as `<think>`, `<thinking>`, `<thought>`, `<reasoning>`, `<seed:think>`, `[THINK]`, `◁think▷`,
      `<|begin_of_thought|>`, `<|START_THINKING|>`, in any case, also with attributes; several times and anywhere;
    * after an opening tag that is never closed: then the text ended while the model thought;
    * before a closing tag that was never opened: servers often put the opening one into the prompt;
    * in the channels of gpt-oss except `final`, also if a server has removed their special tokens and left
      `analysis...assistantfinal...`.

    An opening tag inside a thought means nothing, and each closing tag ends it. A tag is only mentioned, and stays as
    it is, in `code`, in closed code fences, and directly between quotes, braces or dollars. So is an opening tag in
    the middle of a sentence that is never closed. In a reply that is a JSON object each of its texts is parted alone.

    Args:
        text: Any text.
    """
    if "<|channel|>" in text and (parted := _in_channels(text)) is not None:
        return parted
    if _STRIPPED_FINAL in text or text.lstrip()[:8] == "analysis":
        parted = _without_special_tokens(text)
        if parted is not None:
            return parted
    if not any(mark in text for mark in "<[◁") or not _HINT.search(text):
        return Parted("", text)  # most texts, at once
    parted = _in_tags(text)
    if not parted.thought and parted.said == text:
        return parted
    return Parted(parted.thought, _SAID_MARK.sub("", parted.said))


def _in_tags(text: str) -> Parted:
    tags = list(_TAG.finditer(text))
    if not tags:
        return Parted("", text)
    last_close = max((tag.start() for tag in tags if tag["close"]), default=-1)
    in_code = _code_finder(text)
    may_be_json = text.rstrip().endswith(("}", "```"))
    thoughts: list[str] = []
    said: list[str] = []
    place = 0  # where the part begins that is read now
    thinks = False
    for tag in tags:
        if thinks:
            if tag["close"]:
                thoughts.append(text[place : tag.start()])
                place, thinks = tag.end(), False
            continue
        begins = text[place : tag.start()].lstrip()[:3]
        if may_be_json and begins.startswith(("{", "```")) and (parted := _in_json(text[place:])) is not None:
            return _joined([*thoughts, parted.thought], [*said, parted.said])
        if _is_wrapped(text, tag) or in_code(place, tag):
            continue
        if tag["close"]:
            thoughts += [*said, text[place : tag.start()]]
            said, place = [], tag.end()
        elif last_close > tag.start() or _begins_something(text, tag.start()):
            said.append(text[place : tag.start()])
            place, thinks = tag.end(), True
    (thoughts if thinks else said).append(text[place:])
    return _joined(thoughts, said)


def _joined(thoughts: list[str], said: list[str]) -> Parted:
    return Parted("\n\n".join(part for piece in thoughts if (part := piece.strip())), "".join(said))


def _code_finder(text: str) -> Callable[[int, re.Match[str]], bool]:
    """A function that tells whether a tag stands in code, for tags in the order of the text.

    Code is looked for from where the said text begins: backticks in a thought pair with none outside. A piece of code
    that was found stays the next one from every later beginning before it, so the text is searched only once.
    """
    found = _CODE.search(text)

    def in_code(place: int, tag: re.Match[str]) -> bool:
        nonlocal found
        while found is not None and (found.start() < place or found.end() <= tag.start()):
            found = _CODE.search(text, max(place, found.end() if found.start() >= place else place))
        return found is not None and found.start() < tag.start() < found.end()

    return in_code


def _is_wrapped(text: str, tag: re.Match[str]) -> bool:
    before, after = text[tag.start() - 1 : tag.start()], text[tag.end() : tag.end() + 1]
    return before in _WRAPS and after == _WRAPS[before]


def _begins_something(text: str, place: int) -> bool:
    """Whether no sentence is cut here: at the start of a line, or after anything but a word, a comma or a bracket."""
    before = text[text.rfind("\n", 0, place) + 1 : place].rstrip()
    return not before or not (before[-1].isalpha() or before[-1] in ",(")


def _in_json(text: str) -> Parted | None:
    """The parts of a reply that is a JSON object; `None` for other texts."""
    body = text.strip()
    if fence := _JSON_FENCE.fullmatch(body):
        body = fence[1]
    if not (body.startswith("{") and body.endswith("}")):
        return None
    try:
        loaded = json.loads(body)
    except (ValueError, RecursionError):
        return None
    thoughts: list[str] = []
    for name, value in loaded.items():
        if isinstance(value, str):
            thought, said = split_thought(value)
            if said != value:
                thoughts.append(thought)
                loaded[name] = said.strip()
    return _joined(thoughts, [json.dumps(loaded, ensure_ascii=False) if thoughts else text])


def _in_channels(text: str) -> Parted | None:
    """The parts of a text with the channels of gpt-oss, https://github.com/openai/harmony; `None` without any."""
    heads = list(_CHANNEL.finditer(text))
    if not heads:
        return None
    thoughts: list[str] = []
    said: list[str] = []
    before = _CHANNEL_END.split(text[: heads[0].start()])[0]
    (thoughts if any(head["name"] == "final" for head in heads) else said).append(before)
    for head, following in zip(heads, [*(head.start() for head in heads[1:]), len(text)], strict=True):
        body = _CHANNEL_END.split(text[head.end() : following], maxsplit=1)[0]
        (said if head["name"] == "final" else thoughts).append(body)
    return _joined(thoughts, said)


def _without_special_tokens(text: str) -> Parted | None:
    """The parts of `analysis...assistantfinal...`; `None` if the text does not look like this."""
    start = _STRIPPED_START.match(text)
    thought, final, said = text.rpartition(_STRIPPED_FINAL)
    if final:
        return _joined([thought[start.end() :] if start else thought.removeprefix("analysis")], [said])
    return _joined([text[start.end() :]], []) if start else None
