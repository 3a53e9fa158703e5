"""Converts LaTeX formulas to MathML in a separate process, which ends itself if a batch takes too long.

Run as a script, it reads a JSON list of `[latex, display]` and writes one JSON line for each: the markup or null. The
converter needs exponential time for some texts (twenty opening brackets) and overflows its stack on others (thousands
of braces); models write both. Then the system or a watchdog thread in C ends the process, and the number of lines
written shows which formula caused it.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys

from math_core import LatexError, LatexToMathML

BATCH = 100
"""Formulas that share a time limit."""
TIME_LIMIT = 1.0
"""Seconds for a batch; most formulas take microseconds."""


def main() -> None:
    """Convert the formulas from standard input."""
    converter = LatexToMathML(fancy_error=False)
    with open(os.devnull, "w") as nowhere:
        for number, (latex, display) in enumerate(json.load(sys.stdin)):
            if number % BATCH == 0:
                faulthandler.dump_traceback_later(TIME_LIMIT, exit=True, file=nowhere)
            try:
                markup = converter.convert_with_local_state(latex, displaystyle=display)
            except LatexError:
                markup = None
            sys.stdout.write(json.dumps(markup) + "\n")
            sys.stdout.flush()
        faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()
