"""Reads from a server's refusal which fields of the request it means, and whether it refuses them or only a value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from econ_env.llm.http.fields import LENGTH_FIELDS, NON_STANDARD, OPTIONAL_FIELDS

_HARMLESS = frozenset(("seed", "response_format", "logprobs"))
_JSON_MODE = re.compile(r"response_format|json|schema|structured|grammar|guided", re.IGNORECASE)
_UNSUPPORTED = re.compile(
    r"unsupported|not[ _]?support|n't[ _]support|unrecogni[sz]ed|unknown|unexpected|unpermitted|not (be )?(permitted|"
    r"allowed|accepted|available|implemented|recogni[sz]ed)|extra[ _](inputs?|fields?|forbidden)|only the default|"
    r"deprecated|no longer|cannot find field|additional ?properties",
    re.IGNORECASE,
)
_NUMBER_RANGE = re.compile(
    r"([<>≤≥]=?|(between|less than|greater than|(less|greater) than or equal to|at most|at least|up to|above|below|"
    r"from|range( of)?|(max|min)imum( value| of)*( is)?)[ :]*[\[(]?)\s*-?\d",
    re.IGNORECASE,
)
_RANGE = re.compile(
    rf"{_NUMBER_RANGE.pattern}|(less|greater)[ _]than|between|(in|of) (the )?(valid |allowed )?(range|interval)|"
    r"(max|min)imum|positive|exceed|too (large|small|high|low|big)|\bin [\[(]",
    re.IGNORECASE,
)
_ONLY_ONE = re.compile(r"\bboth\b|only one|at the same time|together|mutually|either", re.IGNORECASE)
_DEEPEST = 6


class Refusal(NamedTuple):
    """What a refusal means."""

    fields: frozenset[str] = frozenset()
    """Fields of the request that are refused as such."""
    guessed: frozenset[str] = frozenset()
    """Fields that may be refused; a request without them will show it."""
    out_of_range: str | None = None
    """The field whose value is refused; other values are taken."""


def read_refusal(text: str, sent: Mapping[str, Any]) -> Refusal:
    """Which fields a server refuses.

    Args:
        text: The body of a response with status 400 or 422.
        sent: The body of the request.
    """
    parts = list(_parts(text))
    named: dict[str, str] = {}
    for pointed, said in parts:
        for field in OPTIONAL_FIELDS:
            if field in sent and (field in pointed or re.search(rf"(?<!\w){field}(?!\w)", said)):
                named[field] = f"{named.get(field, '')} {said}"
    if {"temperature", "top_p"} <= named.keys() and _ONLY_ONE.search(named["top_p"]):
        return Refusal(frozenset(("top_p",)))
    refused, guessed = set(), set()
    for field, said in named.items():
        renamed = field == LENGTH_FIELDS[0] and LENGTH_FIELDS[1] in said
        if renamed or field in _HARMLESS:
            refused.add(field)
        elif (_NUMBER_RANGE if _UNSUPPORTED.search(said) else _RANGE).search(said):
            return Refusal(out_of_range=field)
        elif _UNSUPPORTED.search(said):
            refused.add(field)
        else:
            guessed.add(field)
    everything = " ".join(said for _, said in parts)
    if not named and "response_format" in sent and _JSON_MODE.search(everything):
        refused.add("response_format")
    if not refused and not guessed:
        guessed = set(NON_STANDARD) & sent.keys()
    return Refusal(frozenset(refused), frozenset() if refused else frozenset(guessed))


def _parts(text: str) -> Iterator[tuple[frozenset[str], str]]:
    """The single complaints of a refusal: the fields that each points at, and what it says.

    OpenAI points with `param`, servers on FastAPI with `loc` and may add the whole request as `input`, which is left
    out here.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict | list):
        yield from _complaints(found, _DEEPEST)
    else:
        yield frozenset(), text


def _complaints(found: Any, depth: int) -> Iterator[tuple[frozenset[str], str]]:
    if isinstance(found, str):
        try:
            inner = json.loads(found) if found.lstrip().startswith(("{", "[")) else None
        except (ValueError, RecursionError):
            inner = None
        if isinstance(inner, dict | list) and depth:
            yield from _complaints(inner, depth - 1)
        else:
            yield frozenset(), found
    elif isinstance(found, list) and depth:
        for part in found:
            yield from _complaints(part, depth - 1)
    elif isinstance(found, dict) and depth:
        pointed = [found.get("param"), *(found["loc"] if isinstance(found.get("loc"), list) else ())]
        own = [found[key] for key in ("message", "msg", "type", "code", "title") if isinstance(found.get(key), str)]
        # a message may be JSON again, as gateways wrap what their upstream said
        plain = [part for part in own if not part.lstrip().startswith(("{", "["))]
        yield frozenset(part for part in pointed if isinstance(part, str)), " ".join(plain)
        for key in ("error", "errors", "message", "detail", "details", "metadata", "raw"):
            inner = found.get(key)
            if inner is not None and not (isinstance(inner, str) and inner in plain):
                yield from _complaints(inner, depth - 1)
