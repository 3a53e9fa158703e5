"""An answer rule: the last whole number of a reply is its answer, and nothing else counts."""

import re

from econ_env.answers import Extracted
from econ_env.testing import check_answer_rule


class WholeNumbers:
    """Reads nothing but whole numbers."""

    name = "whole-numbers-v1"

    def extract(self, reply: str) -> Extracted:
        """The last whole number; JSON is not told from text, so it never counts as parsed."""
        found = re.findall(r"(?<![\d.])-?\d+(?![\d.]*\d)", reply)
        return Extracted(found[-1] if found else None, None, parsed_json=False)

    def same(self, answer: str, gold: str) -> bool:
        """Whether both are the same number; a gold answer that is no whole number can't be given."""
        return gold.strip().lstrip("-").isdecimal() and int(answer) == int(gold)


if __name__ == "__main__":
    check_answer_rule(WholeNumbers())
