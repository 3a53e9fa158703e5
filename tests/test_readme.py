"""README and docs: their code runs, and what they name exists."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import yaml
from pages import PAGES, ROOT, TEXTS, Block, blocks, prose

README = ROOT / "README.md"
CODE = [block for page in TEXTS for block in blocks(page, "python")]


@pytest.mark.parametrize("block", CODE, ids=lambda block: block.place)
def test_python_blocks_run(block: Block) -> None:
    run = subprocess.run([sys.executable, "-c", block.text], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stderr[-2000:]


def test_the_ten_lines_print_the_episode_and_what_it_paid():
    (block,) = blocks("README.md", "python")
    run = subprocess.run([sys.executable, "-c", block.text], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert "executor_2 [T=0.70 p=1.10]" in run.stdout
    assert "commitment (coordinator)" in run.stdout
    assert re.search(r"\{'executor_0': 0\.\d+, .*\} [01]\.0", run.stdout)


def test_the_readme_is_short():
    assert len(TEXTS["README.md"].splitlines()) <= 200


@pytest.mark.parametrize("name", TEXTS)
def test_every_fence_is_closed_and_code_is_never_merely_indented(name):
    """Indented code has no language, so nothing here would run or read it."""
    assert len(re.findall(r"^```", TEXTS[name], re.M)) == 2 * len(blocks(name))
    assert not re.findall(r"\n\n {4}\S.*", prose(name))


def test_files_named_exist():
    pattern = r"(?:benchmarks|econ_env|econ_agents|tests|docs|findings)/[\w/-]+\.(?:py|sh|yaml|jsonl|png|md)"
    named = {(name, file) for name, text in TEXTS.items() for file in re.findall(pattern, text)}
    assert len(named) > 10
    assert not {(name, file) for name, file in named if not (ROOT / file).exists()}


def test_targets_named_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    named = {target for text in TEXTS.values() for target in re.findall(r"(?:`|^)make ([a-z]+)\b", text, re.M)}
    assert {"demo", "test", "docs"} <= named <= targets


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and the site make it of plain words."""
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower())


@pytest.mark.parametrize("name", TEXTS)
def test_links_between_pages_lead_somewhere(name):
    page = ROOT / name
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[name]):
        if re.match(r"https?:", target):
            continue
        file, _, anchor = target.partition("#")
        other = (page.parent / file).resolve() if file else page
        assert other.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", other.read_text(encoding="utf-8"), re.M)
            assert anchor in {slug(heading) for heading in headings}, target


def test_the_site_shows_every_page():
    def files(entry: object) -> list[str]:
        if isinstance(entry, dict):
            return [file for value in entry.values() for file in files(value)]
        return [file for item in entry for file in files(item)] if isinstance(entry, list) else [str(entry)]

    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    assert sorted(files(nav)) == sorted(
        str(page.relative_to(ROOT / "docs")) for page in PAGES if page.is_relative_to(ROOT / "docs")
    )


def test_the_readme_leads_to_every_page():
    pages = {f"docs/{page.name}" for page in PAGES if page.parent == ROOT / "docs" and page.name != "index.md"}
    assert pages <= set(re.findall(r"\]\((docs/[\w-]+\.md)\)", TEXTS["README.md"]))


def test_every_public_face_is_in_the_reference():
    faces = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for package in ("econ_env", "econ_agents")
        for path in (ROOT / package).glob("*/__init__.py")
    } | {"econ_env", "econ_agents"}
    shown = {module for text in TEXTS.values() for module in re.findall(r"^::: ([\w.]+)$", text, re.M)}
    assert faces - {"econ_env.app"} <= shown
