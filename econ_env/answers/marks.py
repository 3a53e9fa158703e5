r"""Reads the answer that a reply marks: in the last `\boxed{}`, or after `####`."""

from __future__ import annotations

import re

from econ_env.answers.clean import closing, has_content

MAX_MARKS = 20
"""Only the last boxes, at most this many, are read."""

_BOX = re.compile(r"(?:\\|\x08)?\\?(?:boxed|fbox|framebox)(?![a-zA-Z])\s*")
_JOINT = r"[\s$\\()]*"
_BETWEEN_BOXES = re.compile(
    rf"{_JOINT}(?:[,;]|,?\s*\b(?:and|or)\b|\\text\s*\{{\s*(?:and|or)\s*\}}){_JOINT}(?:[a-z]\s*=)?{_JOINT}"
)
_BARE_CONTENT = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?|\\[a-zA-Z]+(?:\{[^{}\n]*\})*|[^\s\\{}$]")
_HASH = re.compile(r"####[ \t]*:?[ \t]*([^\n]*)")
_HEADING = re.compile(
    r"(?i)[*_ ]*(?:step|final|answer|solution|conclusion|explanation|problem|question|summary|calculat|check|note|part)"
)


def read_boxed(reply: str) -> str | None:
    """Read the content of the last box that is not empty.

    Boxes joined by a comma, `and` or `or` are one answer, a list.

    Args:
        reply: A whole reply.

    Returns:
        The content, or `None` if there is no box.
    """
    if "box" not in reply:
        return None
    marks = list(_BOX.finditer(reply))[-MAX_MARKS:]
    boxes = [box for mark in marks if (box := _box(reply, mark)) and has_content(box[2])]
    if not boxes:
        return None
    start, _, content = boxes.pop()
    contents = [content]
    while boxes:
        previous, end, content = boxes.pop()
        if not _BETWEEN_BOXES.fullmatch(reply[end:start]):
            break
        if content not in contents:
            contents.insert(0, content)
        start = previous
    return ", ".join(contents)


def _box(reply: str, match: re.Match[str]) -> tuple[int, int, str] | None:
    """Start, end and content of a box."""
    place = match.end()
    if reply[place : place + 1] == "{":
        end = closing(reply, place)
        if end < 0:  # cut off, or a brace forgotten
            line = reply[place + 1 :].split("\n")[0]
            return match.start(), place + 1 + len(line), line.rstrip(" $.}")
        return match.start(), end + 1, reply[place + 1 : end].strip()
    bare = _BARE_CONTENT.match(reply, place) if match[0].startswith("\\") else None
    return (match.start(), bare.end(), bare[0]) if bare else None


def read_hash(reply: str) -> str | None:
    """Read the text after the last `####` on its line, skipping headings.

    Args:
        reply: A whole reply.

    Returns:
        The rest of the line, or `None`.
    """
    if "####" not in reply:
        return None
    for match in reversed(list(_HASH.finditer(reply))):
        text = match[1].strip().strip("#").strip()
        if text and has_content(text) and not _HEADING.match(text) and not text.endswith(":"):
            return text
    return None
