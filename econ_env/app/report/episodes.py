"""Packs episodes for the trace browser: an index of all episodes, and their texts in chunks that are opened on demand.

A chunk is JSON, compressed with gzip and encoded as base64. The browser decompresses it, and no text from a model can
close the HTML element that holds it.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from econ_env.app.report.maths import Converter, Pieces
from econ_env.app.report.runs import Runs
from econ_env.app.runs.folder import EPISODES_FILE
from econ_env.app.runs.results import Row
from econ_env.control_names import DEFAULT_CONTROLS, second_of, short_names
from econ_env.traces import read_lines

CHUNK = 100
"""Episodes per chunk."""
BATCH = 500
"""Episodes whose formulas are converted in one call."""
PREVIEW = 160
"""Maximum characters of a question in the list."""

Key = tuple[int, str, str, int]
"""Run, method, problem and seed."""


class Packed(NamedTuple):
    """The episodes as stored in the page."""

    listing: str
    """One entry per row of results with the place of its episode, and the labels that entries share."""
    chunks: list[str]
    """The episodes, `CHUNK` in each."""
    episodes: int
    """Number of episodes."""


def pack_episodes(runs: Runs) -> Packed:
    """Pack all episodes that have a row of results; the index also lists rows without an episode."""
    converter = Converter()
    texts: dict[Key, bytes] = {}
    previews: dict[Key, str] = {}
    for place, run in enumerate(runs.runs):
        for batch in _batches(read_lines(run.path / EPISODES_FILE)):
            converter.learn(text for line in batch for text in _texts(line["episode"]))
            for line in batch:
                key = place, line["method"], line["problem_id"], line.get("seed", -1)
                texts[key] = _json(_compact(line, converter))
                previews[key] = " ".join(line["episode"]["problem"]["question"].split())[:PREVIEW]
    return _pack(runs, texts, previews)


def _pack(runs: Runs, texts: Mapping[Key, bytes], previews: Mapping[Key, str]) -> Packed:
    methods = list(runs.methods)
    entries: list[dict[str, Any]] = []
    chunks: list[str] = []
    held: list[bytes] = []
    for row, own in _ordered(runs, methods):
        key = next((key for key in _keys(row, own) if key in texts), None)
        entry = _entry(row, methods)
        if key is not None:
            entry |= {"at": [len(chunks), len(held)], "question": previews[key]}
            held.append(texts[key])
            if len(held) == CHUNK:
                chunks.append(_compress(held))
                held = []
        entries.append(entry)
    if held:
        chunks.append(_compress(held))
    several = len(runs.runs) > 1
    names = [runs.names[label] for label in methods]
    about = {
        "methods": methods,
        "names": names,
        "runs": [run.name for run in runs.runs] if several else [],
        "episodes": entries,
    }
    return Packed(_base64(_json(about)), chunks, len(texts))


def _ordered(runs: Runs, methods: list[str]) -> Iterator[tuple[Row, Row]]:
    """Pairs of a labelled row and the row as in its folder, ordered by problem, seed and method."""
    plain = [row for run in runs.runs for row in run.rows]
    places: dict[tuple[str, int], int] = {}
    for row in runs.rows:
        places.setdefault((row["problem"], row["seed"]), len(places))
    pairs = zip(runs.rows, plain, strict=True)
    yield from sorted(
        pairs, key=lambda pair: (places[pair[0]["problem"], pair[0]["seed"]], methods.index(pair[0]["method"]))
    )


def _keys(row: Row, own: Row) -> Iterator[Key]:
    """Possible keys of a row's episode: runs with one seed do not write it into their episodes."""
    for seed in (own["seed"], -1):
        yield row["run"], own["method"], own["problem"], seed


def _entry(row: Row, methods: list[str]) -> dict[str, Any]:
    return {
        "method": methods.index(row["method"]),
        "run": row["run"],
        "problem": row["problem"],
        "seed": row["seed"],
        "kind": row["kind"],
        "source": row["source"],
        "verdict": row["verdict"],
        "gold": row["gold"],
        "answer": row["answer"],
        "rounds": sum(row["rounds"]),
        "stop": row["stop_reasons"],
        "tokens": row["tokens"],
        "calls": row["calls"],
        "seconds": round(row["seconds"], 3),
        "usd": row["usd"],
        "residuals": row["residuals"],
        "gap": row["gap"],
        "verdicts": row["round_verdicts"],
    }


def _compact(line: Mapping[str, Any], converter: Converter) -> dict[str, Any]:
    episode = line["episode"]
    strategy = episode["strategy"]
    controls = tuple(episode.get("controls", DEFAULT_CONTROLS))  # traces of earlier versions name none
    measured = line.get("decisions") or [{}] * len(episode["decisions"])
    return {
        "question": converter.pieces(episode["problem"]["question"]),
        "gold": _answer(episode["problem"]["answer"], converter),
        "seed": episode["seed"],
        "strategy": None if strategy is None else _strategy(strategy, converter),
        "controls": short_names(controls),
        "decisions": [
            _decision(decision, more, controls, converter)
            for decision, more in zip(episode["decisions"], measured, strict=False)
        ],
    }


def _decision(
    decision: Mapping[str, Any], more: Mapping[str, Any], controls: Sequence[str], converter: Converter
) -> dict[str, Any]:
    return {
        "rounds": [_round(round_, controls, converter) for round_ in decision["rounds"]],
        "judged": _judged(decision),
        "rewards": decision["rewards"],
        "team": decision["team_reward"],
        "weights": decision["weights"],
        "gapBefore": more.get("gap_before"),
        "gapAfter": more.get("gap_after"),
    }


def _judged(decision: Mapping[str, Any]) -> list[list[str | None]]:
    """Verdicts on the replies of each round; none for rounds whose replies were replaced later."""
    verdicts = [None if judged is None else judged["verdict"] for judged in decision["replies_judged"]]
    found: list[list[str | None]] = []
    for round_ in reversed(decision["rounds"]):
        start = max(0, len(verdicts) - len(round_["replies"]))
        found.insert(0, verdicts[start:])
        verdicts = verdicts[:start]
    return found


def _round(round_: Mapping[str, Any], controls: Sequence[str], converter: Converter) -> dict[str, Any]:
    second, asked = second_of(controls), round_.get("asked")
    return {
        "replies": [
            {
                "agent": reply["agent"],
                "controls": [reply["controls"]["p" if name == second else name] for name in controls],
                "status": reply["status"],
                "stands": asked is not None and reply["agent"] not in asked,
                **_said(reply, converter),
            }
            for reply in round_["replies"]
        ],
        "clusters": [
            {"agents": list(cluster["agents"]), **_commitment(cluster["commitment"], converter)}
            for cluster in _clusters(round_)
        ],
        "commitment": _commitment(round_["commitment"], converter),
        "adds": round_.get("adds", False),
        "seconds": round_["seconds"],
    }


def _clusters(round_: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The clusters of a large team; traces of flat teams may not have this field."""
    return list(round_.get("clusters", ()))


def _commitment(made: Mapping[str, Any], converter: Converter) -> dict[str, Any]:
    return {"source": made["source"], **_said(made, converter)}


def _said(part: Mapping[str, Any], converter: Converter) -> dict[str, Any]:
    text = part["text"]
    shown = readable(text, part["parsed_json"])
    return {
        "text": None if shown is None else converter.pieces(shown),
        "written": text if shown != text else None,
        "answer": None if part["answer"] is None else _answer(part["answer"], converter),
        "error": part["error"],
        "tokens": [part["usage"]["prompt_tokens"], part["usage"]["completion_tokens"]],
        "cached": part["usage"]["cache_hits"],
    }


def _strategy(strategy: Mapping[str, Any], converter: Converter) -> dict[str, Any]:
    usage = strategy["usage"]
    return {
        "text": None if strategy["text"] is None else converter.pieces(strategy["text"]),
        "error": strategy["error"],
        "redacted": strategy["redacted"],
        "tokens": [usage["prompt_tokens"], usage["completion_tokens"]],
    }


def readable(text: str | None, parsed_json: bool) -> str | None:
    """A reply for reading: the values of a JSON object as text, any other reply unchanged."""
    if text is None or not parsed_json:
        return text
    try:
        value = json.loads(text[text.index("{") : text.rindex("}") + 1])
    except ValueError:
        return text
    if not isinstance(value, dict) or not all(isinstance(part, str | int | float) for part in value.values()):
        return text
    return "\n\n".join(f"{name}: {part}" for name, part in value.items())


def _answer(answer: str, converter: Converter) -> Pieces:
    """An answer, as a formula if it looks like one and can be converted."""
    pieces = converter.pieces(f"\\({answer}\\)") if _is_latex(answer) else []
    whole = len(pieces) == 1 and isinstance(pieces[0], list)
    return [[answer, pieces[0][1]]] if whole else [answer]


def _is_latex(answer: str) -> bool:
    return any(mark in answer for mark in "\\^_") and "\\(" not in answer and "\\)" not in answer


def _texts(episode: Mapping[str, Any]) -> Iterator[str]:
    """All texts of an episode that may hold formulas."""
    problem, strategy = episode["problem"], episode["strategy"]
    rounds = [round_ for decision in episode["decisions"] for round_ in decision["rounds"]]
    said = [part for round_ in rounds for part in (*round_["replies"], round_["commitment"])]
    said += [cluster["commitment"] for round_ in rounds for cluster in _clusters(round_)]
    yield problem["question"]
    if strategy is not None and strategy["text"]:
        yield strategy["text"]
    for answer in (problem["answer"], *(part["answer"] for part in said)):
        if answer is not None and _is_latex(answer):
            yield f"\\({answer}\\)"
    for part in said:
        text = readable(part["text"], part["parsed_json"])
        if text:
            yield text


def _batches(lines: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    iterator = iter(lines)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", errors="replace")


def _compress(parts: Iterable[bytes]) -> str:
    return _base64(b"[" + b",".join(parts) + b"]")


def _base64(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, compresslevel=9, mtime=0)).decode("ascii")
