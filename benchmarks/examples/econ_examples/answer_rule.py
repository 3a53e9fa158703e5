"""An answer rule: the answer is the last whole number of a reply."""

import re

from econ_env.answers import Extracted
from econ_env.testing import check_answer_rule


class WholeNumbers:
    """Reads only whole numbers."""

    name = "whole-numbers-v1"

    def extract(self, reply: str) -> Extracted:
        """The last whole number; JSON is treated as text, so `parsed_json` is always false."""
        found = re.findall(r"(?<![\d.])-?\d+(?![\d.]*\d)", reply)
        return Extracted(found[-1] if found else None, None, parsed_json=False)

    def same(self, answer: str, gold: str) -> bool:
        """Whether both are the same number; never true if the gold answer is not a whole number."""
        return gold.strip().lstrip("-").isdecimal() and int(answer) == int(gold)


if __name__ == "__main__":
    check_answer_rule(WholeNumbers())
