"""Measures how long the judge takes for one reply: plain numbers, LaTeX, and hostile texts."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator

import click
from rich.console import Console
from rich.table import Table

from econ_env.answers import judge

Case = tuple[str, str]
"""Reply and gold answer."""

SOLUTION = (
    "First we work out what one tray holds, which is {a} eggs. There are {b} trays.\n"
    "Multiplying gives {a} * {b} = {gold} eggs.\n"
)


def plain_cases(n: int, rng: random.Random) -> Iterator[Case]:
    """Replies that end with a number in one of eight forms; one in four is wrong."""
    ends = [
        "The answer is {said}.",
        "\\boxed{{{said}}}",
        "#### {said}",
        "So there are {said} eggs.",
        "**Answer:** ${said}",
        '{{"answer": "{said}"}}',
        "That makes {said} eggs in total.",
        "The answer is {said} eggs, which is a lot.",
    ]
    for i in range(n):
        a, b = rng.randint(2, 400), rng.randint(2, 400)
        gold = a * b
        said = gold if rng.random() < 0.75 else gold + rng.randint(1, 9)
        written = f"{said:,}" if i % 3 == 0 else f"{said}.0" if i % 3 == 1 else str(said)
        yield SOLUTION.format(a=a, b=b, gold=gold) + ends[i % len(ends)].format(said=written), str(gold)


def latex_cases(n: int, rng: random.Random) -> Iterator[Case]:
    """Boxed formulas that have to be compared by algebra; one in four is wrong."""
    for i in range(n):
        a, b, c = rng.randint(2, 60), rng.randint(2, 60), rng.choice([2, 3, 5, 6, 7, 10])
        off = rng.choice([0, 0, 0, 1])
        reply, gold = [
            (rf"{a}\sqrt{{{c * 4}}}", rf"{2 * a + off}\sqrt{{{c}}}"),
            (rf"\frac{{{a}\pi}}{{{b}}}", rf"\frac{{{2 * a}}}{{{2 * b + off}}}\pi"),
            (rf"(x+{a})^2", rf"x^2+{2 * a}x+{a * a + off}"),
            (rf"{a}+{b}\sqrt{{{c}}}", rf"{b}\sqrt{{{c}}}+{a + off}"),
            (rf"{a}k+{b}", rf"{b + off}+{a}k"),
            (
                rf"\left(\sqrt{{{a * a * c}}}, \frac{{{b}\pi}}{{4}}\right)",
                rf"({a + off}\sqrt{{{c}}},\frac{{{b}\pi}}{{4}})",
            ),
            (rf"{a}+{b}i", rf"{b}i+{a + off}"),
            (rf"y = {a}x + {b}", rf"y - {a}x = {b + off}"),
        ][i % 8]
        yield rf"Hence the result is $\boxed{{{reply}}}$.", gold


def hostile_cases(n: int, rng: random.Random) -> Iterator[Case]:
    """Texts meant to overload a parser or an evaluator."""
    texts = [
        r"9^{9^{9^{9}}}",
        r"\boxed{10^{10^{10}}}",
        r"\boxed{100000!}",
        "9" * 100_000,
        "a " * 50_000,
        r"\boxed{" * 20_000,
        '{"answer":' * 10_000,
        "the answer is " * 7_000,
        "1 " * 50_000,
        r"\boxed{" + r"\sqrt{" * 300 + "2" + "}" * 301,
        r"\boxed{(x+1)^{999}}",
        "(" * 10_000 + "1" + ")" * 10_000,
    ]
    for i in range(n):
        yield texts[i % len(texts)], rng.choice(["5", r"\sqrt{3}", "x^2+1"])


def measure(cases: Iterator[Case]) -> list[float]:
    """Milliseconds for each case."""
    times = []
    for reply, gold in cases:
        start = time.perf_counter()
        judge(reply, gold)
        times.append(1e3 * (time.perf_counter() - start))
    return times


@click.command()
@click.option(
    "--n",
    type=click.IntRange(2),
    default=2000,
    show_default=True,
    help="Plain replies; LaTeX gets a quarter of this number, hostile texts a fiftieth.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the replies.")
def main(n: int, seed: int) -> None:
    """Print median, 90% and maximum time of one judgement; hostile replies repeat, others do not."""
    rng = random.Random(seed)
    start = time.perf_counter()
    judge(r"\boxed{\sqrt{8}}", r"2\sqrt{2}")
    first = time.perf_counter() - start
    kinds: list[tuple[str, Callable[[int, random.Random], Iterator[Case]], int]] = [
        ("plain numbers", plain_cases, n),
        ("LaTeX", latex_cases, max(8, n // 4)),
        ("hostile", hostile_cases, max(12, n // 50)),
    ]
    table = Table("kind", "replies", "median ms", "90% ms", "max ms")
    for name, make, count in kinds:
        times = measure(make(count, rng))
        cuts = (statistics.median(times), statistics.quantiles(times, n=10)[-1], max(times))
        table.add_row(name, str(len(times)), *(f"{cut:.3f}" for cut in cuts))
    console = Console()
    console.print(table)
    console.print(f"first formula, including the start of the judge's process: {first:.2f} s")


if __name__ == "__main__":
    main()
