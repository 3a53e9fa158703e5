"""Seeds derived from names, so that every call's seed depends on what it is for and on nothing else."""

from __future__ import annotations

import hashlib
import json


def derive_seed(*parts: str | int) -> int:
    """A seed in [0, 2**31) that is a pure function of the parts, the same on every machine.

    Args:
        parts: What the seed is for, for example the episode's seed, `"executor_0"` and the round's index.
    """
    digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1
