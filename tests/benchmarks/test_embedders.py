"""What embedding costs: the texts of a run, and one line for each model."""

import re

import pytest
from click.testing import CliRunner

from benchmarks.measure.embedders import main, texts_of


def test_no_text_of_a_run_is_embedded_twice():
    for rounds, count in ((1, 1 + 1 + 3 + 1), (3, 1 + 1 + 3 * (3 + 1))):  # question, plan, replies and commitments
        texts = texts_of(2, rounds)
        assert len(texts) == len(set(texts)) == 2 * count


@pytest.mark.slow
def test_it_prints_a_line_for_each_model():
    ran = CliRunner().invoke(main, ["--model", "hash", "--model", "hash-7", "--problems", "1"])
    assert ran.exit_code == 0, ran.output
    assert "6 at K = 1, 14 at K = 3" in ran.output
    assert re.findall(r"│ (hash\S*) +│ (\d+) ", ran.output) == [("hash", "64"), ("hash-7", "7")]
