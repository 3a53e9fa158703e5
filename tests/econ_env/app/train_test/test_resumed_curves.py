"""A run that was stopped and resumed has each step of its curves once, and says where it goes on."""

from __future__ import annotations

from collections import Counter

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from econ_env.app.cli import econ
from econ_env.app.runs import loggers
from econ_env.app.runs.folder import RunFolder


def steps(folder):
    """The steps of each tag."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: [event.step for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def doubled(folder):
    return {tag: count for tag, found in steps(folder).items() if (count := max(Counter(found).values())) > 1}


@pytest.mark.slow
def test_numbers_that_are_held_back_are_dropped_by_a_failure(tmp_path):
    def fail():
        with loggers.logger(tmp_path, None, {}, held=True) as shown:
            for step in (1, 2, 3):
                shown.logger.log_test_data({"a": 0.5}, step)
                if step == 2:
                    shown.publish()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert set(map(tuple, steps(tmp_path).values())) == {(1, 2)}
    with loggers.logger(tmp_path, None, {}, held=True) as shown:
        shown.logger.log_test_data({"a": 0.5}, 3)
    assert set(map(tuple, steps(tmp_path).values())) == {(1, 2, 3)}


def test_without_holding_back_a_failure_loses_nothing(tmp_path):
    def fail():
        with loggers.logger(tmp_path, None, {}) as shown:
            shown.logger.log_test_data({"a": 0.5}, 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert set(map(tuple, steps(tmp_path).values())) == {(1,)}


@pytest.mark.slow
@pytest.mark.parametrize(("interval", "said"), [(4, "training goes on after episode 4 of 12"), (100, "begins anew")])
def test_a_stopped_training_goes_on_without_a_step_twice(run, small, tmp_path, monkeypatch, interval, said):
    arguments = [*small, "--train-eps", 12, "--set", f"checkpoint_interval={interval}"]
    add, rows = RunFolder.add_training, []

    def stop_after_seven(folder, row):
        add(folder, row)
        rows.append(row)
        if len(rows) == 7:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "add_training", stop_after_seven)
        assert run(econ, "train", *arguments).code == 130
    done = run(econ, "train", *arguments, "--resume")
    assert done.code == 0
    assert said in " ".join(done.out.split())
    curves = tmp_path / "logs_exp1" / "tensorboard"
    assert doubled(curves) == {}
    assert max(max(found) for found in steps(curves).values()) >= 12
    assert said not in run(econ, "train", *arguments).out
