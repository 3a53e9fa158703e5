"""Judges a run again: its rows, traces, summary and report under the current rule, with the old files kept beside."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from econ_env.answers import AnswerRule, make_rule
from econ_env.app.compare.overview import REFERENCE, overview
from econ_env.app.rejudge.episodes import judged_again, row_of
from econ_env.app.runs.folder import EPISODES_FILE, RESULTS_FILE, RUN_FILE, SUMMARY_FILE, judged_before
from econ_env.app.runs.lock import FolderLocks
from econ_env.app.runs.results import Row, summarise_methods
from econ_env.errors import EconError, TraceError
from econ_env.traces import read_json, read_lines, write_json, write_json_list, write_lines

EXAMPLES = 5
"""Changed verdicts that are shown."""
_ADVICE = "the run can't be judged again"

Key = tuple[str, str, int | None]
"""Method, problem and seed of an episode; a run with one seed does not write it into its episodes."""


@dataclass(frozen=True)
class Rejudged:
    """What judging again has changed."""

    before: list[Row]
    """The rows as they were."""
    after: list[Row]
    """The rows by the current rule, in the same order."""
    rule: str
    """Name and version of the current rule."""
    kept: Path | None = None
    """Folder with the old files; `None` if nothing changed."""
    traces: list[Path] = field(default_factory=list)
    """Further files that were written anew."""

    @property
    def changed(self) -> list[tuple[Row, Row]]:
        """Rows whose verdict changed, before and after."""
        pairs = zip(self.before, self.after, strict=True)
        return [(old, new) for old, new in pairs if old["verdict"] != new["verdict"]]

    @property
    def replies_changed(self) -> int:
        """Verdicts on single replies that changed."""
        return sum(
            said["verdict"] != now["verdict"]
            for old, new in zip(self.before, self.after, strict=True)
            for said, now in zip(old["replies"], new["replies"], strict=True)
        )

    @property
    def old_rules(self) -> list[str]:
        """The rules that judged before."""
        return sorted({str(row["rule"]) for row in self.before if row.get("rule")})


def rejudge(folder: Path) -> Rejudged:
    """Judge the tested answers of a run again, from its texts, by the rule that its settings name.

    Rows, traces and summary are written anew if anything changed; the old ones are kept in a folder beside them.
    Training is left as it was: the policy learned from the verdicts of then.

    Args:
        folder: The run's log folder.

    Raises:
        TraceError: The folder has no run, or a text is missing; then nothing is written.
        ConfigError: The run's rule is not installed, or the run still writes into the folder.
    """
    if not (folder / RESULTS_FILE).is_file() or not (folder / RUN_FILE).is_file():
        raise TraceError(f"{folder} has no {RESULTS_FILE} and {RUN_FILE}; give the --log-dir of a run with a test")
    locks = FolderLocks([("LOGDIR", folder)])
    try:
        return _judge_folder(folder)
    finally:
        locks.release()


def _judge_folder(folder: Path) -> Rejudged:
    about = read_json(folder / RUN_FILE, _ADVICE) or {}
    config = about.get("config", {})
    rule = make_rule(config.get("answer_rule", "econ"))
    how = config.get("reward", {}).get("team_ts", "commitment"), config.get("env_args", {}).get("commitment", "always")
    rows = list(read_lines(folder / RESULTS_FILE))
    places = _places(folder, rows)
    new_rows: dict[int, Row] = {}
    lines = _lines(folder, rows, places, rule, how, new_rows)
    draft = folder / f".{EPISODES_FILE}.judged"
    try:
        write_lines(draft, lines)
        done = Rejudged(rows, [new_rows[number] for number in range(len(rows))], rule.name)
        if done.after == rows:
            return done
        kept = _keep(folder, done.old_rules)
        draft.replace(folder / EPISODES_FILE)
    except OSError as error:
        raise TraceError(f"{error.filename or folder} can't be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
    write_lines(folder / RESULTS_FILE, done.after)
    _write_summary(folder, about, done, rule)
    return Rejudged(rows, done.after, rule.name, kept, _write_traces(folder, set(places.values())))


def _key(line: Mapping[str, Any]) -> Key:
    return line["method"], line.get("problem_id", line.get("problem")), line.get("seed")


def _places(folder: Path, rows: list[Row]) -> dict[int, int]:
    """The place in the traces of each row's episode, the last one if it was repeated.

    Raises:
        TraceError: A row has none.
    """
    latest: dict[Key, int] = {_key(line): place for place, line in enumerate(read_lines(folder / EPISODES_FILE))}
    found: dict[int, int] = {}
    for number, row in enumerate(rows):
        method, problem, seed = _key(row)
        place = latest.get((method, problem, seed), latest.get((method, problem, None)))
        if place is not None:
            found[number] = place
    if len(found) < len(rows):
        raise TraceError(
            f"{folder / EPISODES_FILE} lacks the texts of {len(rows) - len(found)} of {len(rows)} answers; "
            "they can't be judged again, repeat the run"
        )
    return found


def _lines(
    folder: Path,
    rows: list[Row],
    places: Mapping[int, int],
    rule: AnswerRule,
    how: tuple[str, str],
    new: dict[int, Row],
) -> Iterator[dict[str, Any]]:
    """The lines of the traces, judged again; adds the rows that belong to them to `new`."""
    numbers = {place: number for number, place in places.items()}
    for place, line in enumerate(read_lines(folder / EPISODES_FILE)):
        number = numbers.get(place)
        if number is None:
            yield line
            continue
        try:
            episode = judged_again(line["episode"], rule, *how)
            new[number] = row_of(rows[number], episode, rule)
        except (EconError, KeyError, ValueError) as error:
            reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            raise TraceError(
                f"{folder / EPISODES_FILE} line {place + 1} can't be judged again: {reason}; nothing was changed"
            ) from error
        yield {**line, "episode": episode}


def _keep(folder: Path, rules: list[str]) -> Path:
    """Copy the files that are written anew into a folder named after the rule that judged them."""
    target = judged_before(folder, "-".join(rules) or "unknown")
    target.mkdir()
    for name in (RESULTS_FILE, EPISODES_FILE, SUMMARY_FILE, RUN_FILE):
        if (folder / name).exists():
            shutil.copy2(folder / name, target / name)
    return target


def _write_summary(folder: Path, about: Mapping[str, Any], done: Rejudged, rule: AnswerRule) -> None:
    versions = {**about.get("versions", {}), "answer_rule": rule.name}
    changed = {"versions": versions, "rejudged": {"from": done.old_rules, "to": rule.name}}
    write_json(folder / RUN_FILE, {**about, **changed})
    summary = read_json(folder / SUMMARY_FILE, _ADVICE)
    if summary is None:
        return
    found = summarise_methods(done.after)
    methods = {name: {**part, **found.get(name, {})} for name, part in summary.get("methods", {}).items()}
    summary |= {**changed, "methods": methods}
    if "overview" in summary:
        seen = summary["overview"]
        baseline, reference, order = (
            seen.get("baseline"),
            seen.get("reference", REFERENCE),
            list(seen.get("methods", ())),
        )
        summary["overview"] = overview(done.after, baseline, reference, order, rule=rule)
    write_json(folder / SUMMARY_FILE, summary)


def _write_traces(folder: Path, places: set[int]) -> list[Path]:
    """Write the files with the texts of one method anew, as the test wrote them."""
    written = []
    for path in sorted([*folder.glob("llm_traces_*.json"), *folder.glob("logs_*_test_*.json")]):
        first = next(iter(json.loads(path.read_text(encoding="utf-8"))), None)
        if first is not None:
            numbered = enumerate(read_lines(folder / EPISODES_FILE))
            write_json_list(path, (e for at, e in numbered if at in places and e["method"] == first["method"]))
            written.append(path)
    return written


def print_changes(console: Console, done: Rejudged) -> None:
    """Print how many verdicts changed, the accuracies before and after, and a few examples."""
    old = " and ".join(done.old_rules) or "an unknown rule"
    console.print(f"judged by {old}, now by {done.rule}", highlight=False, markup=False)
    turns = Counter(f"{_spoken(a['verdict'])} -> {_spoken(b['verdict'])}" for a, b in done.changed).most_common()
    told = f": {', '.join(f'{count:,} {turn}' for turn, count in turns)}" if turns else ""
    console.print(f"{len(done.changed):,} of {len(done.after):,} verdicts changed{told}", highlight=False, markup=False)
    console.print(f"{done.replies_changed:,} verdicts on single replies changed", highlight=False)
    table = Table(box=None, pad_edge=False)
    for heading in ("method", "problems", "before", "after"):
        table.add_column(heading, justify="left" if heading == "method" else "right", overflow="fold")
    before, after = summarise_methods(done.before), summarise_methods(done.after)
    for name, part in after.items():
        table.add_row(name, f"{part['n']:,}", _percent(before[name]["accuracy"]), _percent(part["accuracy"]))
    console.print()
    console.print(table)
    if done.changed:
        console.print("\nexamples", style="bold")
    for was, now in done.changed[:EXAMPLES]:
        read = f"gold {now['gold']!r}, read {was['answer']!r} -> {now['answer']!r}"
        line = f"{now['method']} {now['problem']}: {read}, {_spoken(was['verdict'])} -> {_spoken(now['verdict'])}"
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def _spoken(verdict: str) -> str:
    return verdict.replace("_", " ")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
