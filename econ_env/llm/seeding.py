"""Derives seeds from names: a call's seed depends only on the purpose of the call."""

from __future__ import annotations

import hashlib
import json


def derive_seed(*parts: str | int) -> int:
    """A seed in [0, 2**31) computed from the parts alone; the same on every machine.

    Args:
        parts: What the seed is for, for example the episode's seed, `"executor_0"` and the round's index.
    """
    digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1
