"""Names of what others add: found, refused with a hint, made, and told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from econ_env import plugins
from econ_env.errors import ConfigError
from econ_env.plugins import Kind
from econ_env.problems.load import load_problems

SHAPES = Kind("shape", "econ_test.shapes", ("name", "area"), ("circle",))


class Square:
    name = "square"

    @property
    def area(self):
        raise RuntimeError("must not be asked for")


class Bodiless:
    name = "bodiless"


def picky(width):
    return Square()


def explosive():
    raise ValueError("no\n fuse")


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Adds a distribution with an entry point."""

    def add(distribution: str, version: str, name: str, value: str, group: str = SHAPES.group) -> None:
        site = tmp_path / distribution
        info = site / f"{distribution}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")
        monkeypatch.syspath_prepend(site)

    return add


def test_a_registered_name_is_found_with_its_version(register):
    register("geometry", "2.5", "square", f"{__name__}:Square")
    assert plugins.names(SHAPES) == ["circle", "square"]
    assert plugins.load(SHAPES, "square") is Square
    assert plugins.origin(SHAPES, "square") == "geometry 2.5"
    assert isinstance(plugins.make(SHAPES, "square"), Square)


def test_what_is_built_in_can_not_be_registered_over(register):
    register("geometry", "1", "circle", f"{__name__}:Square")
    assert plugins.find(SHAPES, "circle") is None
    assert plugins.origin(SHAPES, "circle") is None
    with pytest.raises(ConfigError, match="'circle' is built in"):
        plugins.load(SHAPES, "circle")


def test_two_packages_with_one_name_are_told(register):
    register("geometry", "1", "square", f"{__name__}:Square")
    register("other", "1", "square", f"{__name__}:Bodiless")
    with pytest.raises(ConfigError, match=r"several packages register the shape 'square'; use one of: .*:Bodiless"):
        plugins.load(SHAPES, "square")
    assert plugins.load(SHAPES, f"{__name__}:Square") is Square


def test_a_path_is_imported_only_when_it_is_loaded():
    assert plugins.check_name(SHAPES, "no_such_module:Thing") == "no_such_module:Thing"
    with pytest.raises(ConfigError, match="shape no_such_module:Thing: ModuleNotFoundError: No module named"):
        plugins.load(SHAPES, "no_such_module:Thing")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("circel", "did you mean 'circle'"),
        ("zzz", "there are circle, module:attribute"),
        ("a/b:c", "unknown shape"),
        ("", "unknown shape"),
        (":x", "unknown shape"),
    ],
)
def test_an_unknown_name_is_refused(name, message):
    with pytest.raises(ConfigError, match=message):
        plugins.check_name(SHAPES, name)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (f"{__name__}:Bodiless", "Bodiless has no area; shapes need name, area"),
        (Bodiless(), "shape that was given: Bodiless has no area"),
        (f"{__name__}:picky", "it can't be made: TypeError: picky"),
        (f"{__name__}:explosive", "it can't be made: ValueError: no fuse"),
        (f"{__name__}:nothing", "has no attribute 'nothing'"),
    ],
)
def test_what_can_not_be_made_is_told_in_a_line(spec, message):
    with pytest.raises(ConfigError, match=message) as caught:
        plugins.make(SHAPES, spec)
    assert "\n" not in str(caught.value)


def test_objects_and_what_makes_them_are_taken():
    square = Square()
    assert plugins.make(SHAPES, square) is square  # its area is not asked for
    assert isinstance(plugins.make(SHAPES, Square), Square)
    assert isinstance(plugins.call(SHAPES, f"{__name__}:picky", 3), Square)


def rows():
    return {"train": [{"question": "1 + 1?", "answer": "2"}], "test": [{"question": "2 + 2?", "answer": "4"}]}


def test_a_data_set_has_splits_and_its_name_as_source(register):
    register("more_sums", "1", "more_sums", f"{__name__}:rows", "econ_env.datasets")
    test = load_problems("more_sums", split="test")
    assert [(problem.answer, problem.source) for problem in test] == [("4", "more_sums")]
    assert load_problems(f"{__name__}:rows").problems[0].source == f"{__name__}:rows"
    assert len(list(load_problems("more_sums", streaming=True))) == 1
