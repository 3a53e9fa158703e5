"""A data set: sums, in two splits that share no question."""

from econ_env.testing import check_dataset


def sums() -> dict[str, list[dict[str, str]]]:
    """Rows by split; a `Dataset`, a list or a path is also allowed."""
    pairs = [(first, second) for first in range(11, 31) for second in range(31, 41)]
    rows = [{"question": f"What is {a} + {b}?", "answer": str(a + b)} for a, b in pairs]
    return {"train": rows[::2], "test": rows[1::2]}


if __name__ == "__main__":
    check_dataset(sums())
