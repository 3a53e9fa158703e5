"""What GitHub reads: workflows, issue forms and the citation have the keys that it demands, and name what exists."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml
from pages import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
MAKEFILE = (ROOT / "Makefile").read_text()
FIELDS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}


class Loader(yaml.SafeLoader):
    """Reads `on` as a word, as GitHub does, and refuses a key that comes twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key comes twice in {keys}"
        return super().construct_mapping(node, deep)


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:bool"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))


def load(path: Any) -> dict[str, Any]:
    return yaml.load(path.read_text(encoding="utf-8"), Loader)


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def made_by(workflow: dict[str, Any]) -> set[str]:
    """The targets that a workflow makes."""
    made: set[str] = set()
    for job in workflow["jobs"].values():
        for target in re.findall(
            r"\bmake ([\w-]+|\$\{\{ matrix\.\w+ \}\})", "\n".join(s.get("run", "") for s in job["steps"])
        ):
            variable = re.fullmatch(r"\$\{\{ matrix\.(\w+) \}\}", target)
            made |= set(job["strategy"]["matrix"][variable[1]]) if variable else {target}
    return made


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_what_github_demands(path):
    workflow = load(path)
    assert set(workflow) <= {"name", "on", "permissions", "concurrency", "env", "jobs"}
    assert set(workflow["on"]) <= {"push", "pull_request", "schedule", "workflow_dispatch"}
    for entry in workflow["on"].get("schedule", ()):
        assert re.fullmatch(r"(?:\d+ ){2}\* \* \d", entry["cron"])
    assert workflow["jobs"]
    for job in workflow["jobs"].values():
        assert job["runs-on"].startswith("ubuntu-")
        assert job["timeout-minutes"] > 0
    for step in steps(workflow):
        assert ("uses" in step) != ("run" in step), step
        assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step.get("uses", "a/b@v1"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_makes_targets_that_exist(path):
    made = made_by(load(path))
    assert made
    assert made <= set(re.findall(r"^([a-z]+):", MAKEFILE, re.M))


def test_the_workflows_together_run_every_suite():
    suites = set(re.findall(r"^([a-z]+):.*\n\t\$\(BIN\)/python -m pytest", MAKEFILE, re.M)) | {"docs"}
    assert suites <= set().union(*(made_by(load(path)) for path in WORKFLOWS))


def test_every_supported_python_is_tested():
    matrix = load(ROOT / ".github" / "workflows" / "test.yml")["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == ["3.11", "3.12", "3.13"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">={matrix['python'][0]}"


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_an_issue_form_has_what_github_demands(path):
    form = load(path)
    assert set(form) <= {"name", "description", "title", "labels", "assignees", "body"}
    assert form["name"]
    assert form["description"]
    fields = form["body"]
    assert {field["type"] for field in fields} <= FIELDS
    asked = [field for field in fields if field["type"] != "markdown"]
    assert asked
    ids = [field["id"] for field in asked]
    labels = [field["attributes"]["label"] for field in asked]
    assert len(set(ids)) == len(ids)
    assert len(set(labels)) == len(labels)
    for field in asked:
        assert set(field) <= {"type", "id", "attributes", "validations"}
        assert re.fullmatch(r"[\w-]+", field["id"])
        assert field["attributes"]["label"]
        assert set(field.get("validations", {})) <= {"required"}
        if field["type"] == "dropdown":
            options = field["attributes"]["options"]
            assert len(set(options)) == len(options) > 1


def test_the_citation_is_that_of_this_version_and_of_the_paper_in_the_readme():
    citation = load(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert str(citation["version"]) == project["version"]
    assert citation["license"] == project["license"]
    paper = citation["preferred-citation"]
    bibtex = (ROOT / "README.md").read_text(encoding="utf-8")
    bibtex = re.sub(r"[{}]", "", bibtex[bibtex.index("@inproceedings") :])
    assert f"title     = {paper['title']}," in bibtex
    assert paper["url"] in bibtex
    names = " and ".join(f"{author['family-names']}, {author['given-names']}" for author in paper["authors"])
    assert f"author    = {names}," in bibtex
