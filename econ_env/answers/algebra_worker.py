r"""Evaluates and compares LaTeX formulas in its own process, which ends itself when a formula takes too long.

Run as a script: it reads one JSON request a line and writes one JSON reply a line.

    {"do": "value", "latex": "\\sqrt{4}"}             -> {"rational": "2"}, {"decimal": "1.41..."} or {}
    {"do": "same", "latex": "x+1", "other": "1+x"}  -> {"same": true}

It imports nothing from this package, so it starts quickly. A watchdog thread in C ends the process; neither a long C
call nor a dead parent process can delay it.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import sys
from typing import Any, TextIO

START_LIMIT = 60.0
"""Seconds that importing sympy may take."""

MEMORY_LIMIT = 2 * 1024**3
"""Most bytes of address space, on systems that can limit it."""

PRECISION = 40
"""Decimal digits to which constants are evaluated."""

_WARM_UP = (
    r"2\sqrt{3}",
    r"\frac{3\pi}{4}",
    r"x^2+2x-1",
    r"6+9i",
    "x+y=5",
    r"\sin x",
    r"e^{2}",
    r"\log_2 8",
    "a_1",
    r"|x|",
)


def main() -> None:
    """Answer requests until the input ends."""
    limit = float(sys.argv[1])
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries that print must not break the protocol
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(START_LIMIT, exit=True, file=nowhere)
        _limit_memory()
        logging.disable(logging.CRITICAL)
        for latex in _WARM_UP:  # the parser's tables fill at first use
            _value(latex)
        _send(replies, {"ready": True})
        faulthandler.cancel_dump_traceback_later()
        for line in sys.stdin:
            faulthandler.dump_traceback_later(limit, exit=True, file=nowhere)
            reply = _answer(json.loads(line))
            faulthandler.cancel_dump_traceback_later()
            _send(replies, reply)


def _send(replies: TextIO, reply: dict[str, Any]) -> None:
    replies.write(json.dumps(reply) + "\n")
    replies.flush()


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not a POSIX system
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, hard))


def _answer(request: dict[str, str]) -> dict[str, Any]:
    try:
        if request["do"] == "value":
            return _value(request["latex"])
        return {"same": _same(request["latex"], request["other"])}
    except Exception:  # sympy may raise anything on odd input; what it can't evaluate has no value and equals nothing
        return {} if request["do"] == "value" else {"same": False}


def _parse(latex: str) -> Any:
    """The sympy object for a formula, with decimals as exact rationals; `None` if it can't be parsed."""
    import sympy
    from latex2sympy2_extended.latex2sympy2 import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse

    # units and boxes are removed before; Math-Verify's own removal of units would turn `5m` into 5
    tidy = NormalizationConfig(basic_latex=True, units=False, malformed_operators=True, nits=False, boxed="none")
    config = [LatexExtractionConfig(boxed_match_priority=-1, normalization_config=tidy)]
    found = parse(f"${latex}$", config, fallback_mode="no_fallback", parsing_timeout=None)
    if not found or isinstance(found[0], str):
        return None
    if isinstance(found[0], sympy.Expr) and found[0].has(sympy.Float):
        return sympy.nsimplify(found[0], rational=True)
    return found[0]


def _value(latex: str) -> dict[str, str]:
    """The value of a formula without variables."""
    import sympy

    parsed = _parse(latex)
    if not isinstance(parsed, sympy.Expr) or parsed.free_symbols:
        return {}
    exact = parsed.doit()
    if not exact.is_Rational:
        exact = sympy.nsimplify(sympy.simplify(exact)) if exact.is_rational else exact
    if exact.is_Rational:
        return {"rational": str(exact)}
    decimal = exact.evalf(PRECISION)
    return {"decimal": str(decimal)} if decimal.is_Float else {}


def _same(latex: str, other: str) -> bool:
    """Whether two formulas are equivalent, each taken as the gold one in turn."""
    import sympy
    from math_verify import verify

    a, b = _parse(latex), _parse(other)
    if a is None or b is None:
        return False
    if isinstance(a, sympy.Expr) and isinstance(b, sympy.Expr) and not a.free_symbols and not b.free_symbols:
        x, y = a.doit().evalf(PRECISION), b.doit().evalf(PRECISION)
        if not (x.is_finite and y.is_finite):
            return bool(x == y)
        return bool(abs(x - y) <= abs(x) * sympy.Float(10) ** (10 - PRECISION))
    return all(
        verify(gold, reply, timeout_seconds=None, allow_set_relation_comp=True) for gold, reply in ((a, b), (b, a))
    )


if __name__ == "__main__":
    main()
