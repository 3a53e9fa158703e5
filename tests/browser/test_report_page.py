"""The report in a real browser: filters, episodes, keyboard, safety, dark and light, phones."""

import base64
import json
import re

import pytest

from econ_env.app.report import write_report
from tests.browser.conftest import HOSTILE
from tests.econ_env.app.report.made_runs import make_run

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}


def entries(page):
    return page.locator("#list li").all_inner_texts()


def rows(report):
    return [json.loads(line) for line in (report.parent / "results.jsonl").read_text().splitlines()]


def shown(page):
    return int(re.match(r"[\d,]+", page.inner_text("#status"))[0].replace(",", ""))


def settle(page, count):
    page.wait_for_function("n => document.getElementById('status').textContent.startsWith(`${n} of`)", arg=str(count))


def test_filters_show_what_the_rows_say(open_page, report):
    page = open_page(report)
    every = rows(report)
    assert shown(page) == len(every) == 180
    assert len(entries(page)) == 50
    page.select_option("#verdict", "wrong")
    wrong = [row for row in every if row["verdict"] == "wrong"]
    settle(page, len(wrong))
    assert all("wrong" in entry for entry in entries(page))
    page.select_option("#method", label="ECON with 3 rounds")
    settle(page, sum(row["method"] == "bne" for row in wrong))
    page.select_option("#stop", "commitment_repeated")
    settle(page, sum(row["method"] == "bne" and "commitment_repeated" in row["stop_reasons"] for row in wrong))
    page.select_option("#kind", "level2")
    last = [
        r
        for r in wrong
        if r["method"] == "bne" and "commitment_repeated" in r["stop_reasons"] and r["kind"] == "level2"
    ]
    settle(page, len(last))
    assert last
    page.click("#filters button[type=reset]")
    settle(page, 180)


def test_gained_and_lost_against_the_baseline(open_page, report):
    page = open_page(report)
    right = {(row["method"], row["problem"]): row["verdict"] == "correct" for row in rows(report)}
    pairs = [(right[m, p], right["single", p]) for m, p in right if m != "single"]
    for name, wanted in (("gained", (True, False)), ("lost", (False, True))):
        page.select_option("#against", name)
        settle(page, pairs.count(wanted))
        assert pairs.count(wanted) > 0


def test_search_reads_all_texts_of_all_episodes(open_page, report):
    page = open_page(report)
    lines = [json.loads(line) for line in (report.parent / "episodes.jsonl").read_text().splitlines()]
    found = [line for line in lines if "before noon" in json.dumps(line) and "number of boxes" in json.dumps(line)]
    page.fill("#search", "BEFORE noon")
    page.locator("#search").press_sequentially(" boxes; number")
    settle(page, len(found))
    assert 0 < len(found) < 180
    page.fill("#search", "made-17")
    settle(page, 3)
    page.fill("#search", "nobody wrote this")
    settle(page, 0)
    assert entries(page) == []


def test_order_by_tokens(open_page, report):
    page = open_page(report)
    page.select_option("#sort", "tokens")
    page.wait_for_function("() => document.querySelector('#list .who').textContent === 'ECON with 3 rounds'")
    tokens = [int(re.search(r"([\d,]+) tokens", entry)[1].replace(",", "")) for entry in entries(page)]
    assert tokens == sorted((sum(row["tokens"].values()) for row in rows(report)), reverse=True)[:50]


def test_pages_of_the_list(open_page, report):
    page = open_page(report)
    first = entries(page)
    page.click("#next")
    assert page.inner_text("#page") == "Page 2 of 4"
    assert not set(first) & set(entries(page))
    for _ in range(2):
        page.click("#next")
    assert len(entries(page)) == 30
    assert page.is_disabled("#next")
    page.select_option("#method", label="One greedy call")
    settle(page, 60)
    assert page.inner_text("#page") == "Page 1 of 2"


def test_an_episode_shows_everything(open_page, report):
    page = open_page(report)
    lines = [json.loads(line) for line in (report.parent / "episodes.jsonl").read_text().splitlines()]
    line = next(
        line for line in lines if line["method"] == "bne" and len(line["episode"]["decisions"][0]["rounds"]) == 3
    )
    row = next(row for row in rows(report) if row["method"] == "bne" and row["problem"] == line["problem_id"])
    page.fill("#search", line["problem_id"])
    page.select_option("#method", label="ECON with 3 rounds")
    page.locator("#list a").filter(has_text=re.compile(rf"{line['problem_id']} ")).first.click()
    page.wait_for_selector("dialog[open] .round")
    dialog = page.locator("#episode")
    text = dialog.inner_text()
    episode = line["episode"]
    assert episode["problem"]["question"] in text
    assert episode["strategy"]["text"] in text
    assert dialog.locator(".round").count() == 3
    assert dialog.locator(".reply").count() == 9
    for round_, section in zip(episode["decisions"][0]["rounds"], dialog.locator(".round").all(), strict=True):
        for reply, article in zip(round_["replies"], section.locator(".reply").all(), strict=True):
            assert f"T {reply['controls']['temperature']:.2f}" in article.inner_text()
            assert f"p {reply['controls']['p']:.2f}" in article.inner_text()
            assert f"Answer: {reply['answer']}" in article.inner_text()
        assert "by the coordinator" in section.locator(".commitment").inner_text()
    boxes = [article.bounding_box() for article in dialog.locator(".round").first.locator(".reply").all()]
    assert len({box["y"] for box in boxes}) == 1  # side by side
    assert f"together {sum(row['tokens'].values()):,}" in text
    team = episode["decisions"][0]["team_reward"]
    assert dialog.locator(".rewards tr").last.inner_text().split() == [
        "team", *(f"{team[key]:.3f}" for key in ("al", "ts", "cc", "total"))
    ]  # fmt: skip
    assert dialog.locator(".others li").count() == 2


def test_reward_terms_that_were_added_are_shown(open_page, tmp_path):
    folder = make_run(tmp_path / "run", problems=1, methods=(("bne", 3, 1),))
    episodes = folder / "episodes.jsonl"
    line = json.loads(episodes.read_text())
    decision = line["episode"]["decisions"][0]
    for part in (*decision["rewards"], decision["team_reward"]):
        part["further"] = {"brevity": 0.25}
    decision["weights"] = [0.3, 0.4, 0.2, 0.1]
    episodes.write_text(json.dumps(line) + "\n")
    page = open_page(write_report([folder]), "#episode-0")
    table = page.locator("#episode .rewards tr")
    assert re.sub(r"\s+", " ", table.first.inner_text()).split(" × ")[-1].split() == ["0.10", "Sum"]
    team = decision["team_reward"]
    values = [team["al"], team["ts"], team["cc"], 0.25, team["total"]]
    assert table.last.inner_text().split() == ["team", *(f"{value:.3f}" for value in values)]


def test_formulas_are_drawn(open_page, report):
    page = open_page(report, "#episode-2")
    box = page.locator("#episode .commitment math").first.bounding_box()
    assert box["width"] > 5
    assert page.locator("#episode .commitment .words").first.inner_text().startswith("Most find")
    fraction = page.locator("#episode mfrac").first
    assert fraction.bounding_box()["height"] > fraction.locator("mn").first.bounding_box()["height"]


def test_all_by_keyboard(open_page, report):
    page = open_page(report)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("made-1")
    settle(page, 33)
    page.locator("#list a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    first = page.inner_text("#episode-title")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("first => document.getElementById('episode-title').innerText !== first", arg=first)
    assert page.evaluate("document.querySelector('dialog').contains(document.activeElement)")
    page.keyboard.press("k")
    page.wait_for_function("first => document.getElementById('episode-title').innerText === first", arg=first)
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog:not([open])", state="attached")
    assert page.evaluate("document.activeElement.className") == "entry"
    assert "#" not in page.url


def test_an_episode_has_an_address(open_page, report):
    page = open_page(report, "#episode-5")
    page.wait_for_selector("dialog[open]")
    assert "made-1" in page.inner_text("#episode-title")
    page.locator(".others a").first.click()
    page.wait_for_url("**#episode-3")
    page.go_back()
    page.wait_for_url("**#episode-5")
    assert page.is_visible("dialog")


def test_no_script_of_a_reply_runs(open_page, hostile_report):
    page = open_page(hostile_report)
    page.select_option("#kind", index=1)
    for place, method in ((0, "One greedy call"), (1, HOSTILE)):
        page.evaluate("place => { location.hash = `#episode-${place}` }", place)
        page.wait_for_function("name => document.querySelector('dialog h2').textContent.startsWith(name)", arg=method)
        page.wait_for_selector("dialog[open]")
        assert HOSTILE.split("\\(")[0] in page.inner_text("#episode")
    for details in page.locator("details").all():
        details.evaluate("element => { element.open = true }")
    page.evaluate("document.querySelector('dialog').close()")
    page.fill("#search", "onerror")
    settle(page, 2)
    page.wait_for_timeout(300)  # whatever was planted has had its time
    assert page.evaluate("window.evil") is None
    assert page.locator("img:not([src^='data:'])").count() == 0
    assert page.locator("[href^='javascript'], [onerror], [onload], [onclick], svg[onload]").count() == 0
    assert page.locator("script:not([type])").count() == 1


def test_a_script_that_got_in_would_not_run(open_page, report):
    """The page's policy as a second line: inline code, handlers, markup and other addresses are refused."""
    page = open_page(report, refused_ok=True)
    refused = page.evaluate(
        """() => {
            const script = document.createElement("script");
            try { script.textContent = "window.evil = 1"; } catch (error) { return error.name; }
            document.body.append(script);
            return "accepted";
        }"""
    )
    assert refused == "TypeError"
    assert (
        page.evaluate("(() => { try { document.body.innerHTML = '<b>x</b>'; } catch (e) { return e.name; } })()")
        == "TypeError"
    )
    asked = page.evaluate("fetch('https://example.org/').then(() => 'sent', (error) => error.name)")
    assert asked == "TypeError"
    page.evaluate(
        """() => {
            const image = document.createElement("img");
            try { image.setAttribute("onerror", "window.evil = 1"); } catch (error) { /* refused already */ }
            image.src = "data:,x";
            document.body.append(image);
        }"""
    )
    page.wait_for_timeout(200)
    assert page.evaluate("window.evil") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_can_be_read(open_page, report, scheme):
    page = open_page(report, "#episode-2", color_scheme=scheme)
    page.wait_for_selector("dialog[open]")
    places = [
        "body",
        ".note",
        ".facts dt",
        "#status",
        ".badge",
        "#episode .words",
        "#episode small",
        "button",
        "select",
    ]
    for place in places:
        assert contrast(page, place) >= 4.5, place
    image = page.locator("figure img").first
    source = image.evaluate("element => element.currentSrc")
    ink = {"light": "#22262b", "dark": "#e6e4df"}[scheme]
    assert ink in base64.b64decode(source.partition(",")[2]).decode()


def contrast(page, selector):
    """Contrast ratio of a text and its ground: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
    ink, ground = page.locator(selector).first.evaluate(
        """element => {
            const ink = getComputedStyle(element).color;
            const ground = () => getComputedStyle(element).backgroundColor;
            while (ground() === "rgba(0, 0, 0, 0)") element = element.parentElement;
            return [ink, ground()];
        }"""
    )
    light, dark = sorted((luminance(ink), luminance(ground)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(color):
    parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("which", ["report", "hostile_report"])
def test_a_phone_never_scrolls_sideways(open_page, request, which):
    page = open_page(request.getfixturevalue(which), "#episode-1", **PHONE)
    page.wait_for_selector("dialog[open]")
    for name in ("html", "body", "dialog"):
        scroll, client = page.locator(name).evaluate("element => [element.scrollWidth, element.clientWidth]")
        assert scroll <= client, name
    assert page.evaluate("innerWidth") == 360
    page.click("#close")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") >= 16


def widths(page, selector):
    """Width of each element that matches."""
    return [box["width"] for box in (part.bounding_box() for part in page.locator(selector).all()) if box]


@pytest.mark.parametrize("which", ["report", "hostile_report"])
def test_a_wide_window_is_used(open_page, request, which):
    page = open_page(request.getfixturevalue(which))
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert page.locator("main").bounding_box()["width"] == 1280
    calls, tokens = (page.locator("#accuracy figure").nth(place).bounding_box() for place in (0, 1))
    assert calls["y"] == tokens["y"]  # side by side
    assert tokens["x"] >= calls["x"] + calls["width"]
    assert min(calls["width"], tokens["width"]) > 500
    assert min(widths(page, "#accuracy table")) > 1200
    assert not page.locator(".wide").evaluate_all(
        "all => all.filter((one) => one.scrollWidth > one.clientWidth).length"
    )


def test_pictures_of_many_panels_take_the_whole_width(open_page, report):
    page = open_page(report)
    assert min(widths(page, "figure.full img")) > 1200
    page = open_page(report, viewport={"width": 1000, "height": 900})
    assert max(widths(page, "figure.full img")) <= 46 * 16
    assert page.evaluate("document.documentElement.scrollWidth") <= 1000


def test_nothing_overflows_at_390_pixels(open_page, report):
    page = open_page(report, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    inner = "all => all.filter((one) => one.getBoundingClientRect().right > 390.5).map((one) => one.outerHTML)"
    assert page.locator("main figure, main table, main td, main .note, .top > *").evaluate_all(inner) == []


def test_methods_have_readable_names_and_the_names_of_the_files_beside_them(open_page, report):
    page = open_page(report)
    heads = page.locator("#accuracy tbody th").all_inner_texts()
    assert [re.split(r"\s*\n\s*|\s{2,}", head)[0] for head in heads][2].startswith("ECON with 3 rounds")
    assert heads[2].endswith("bne")
    assert page.locator("#cost tbody th").nth(2).get_attribute("title") == "bne"
    assert page.locator("#list .who").first.get_attribute("title") == "single"


def test_titles_and_units_are_printed(open_page, report):
    page = open_page(report)
    page.emulate_media(media="print")
    for text in ("Accuracy against tokens", "percentage points, 95% interval", "US$ per 1,000 problems"):
        assert page.get_by_text(text, exact=True).first.is_visible(), text
    assert not page.is_visible("#filters")
    assert not page.is_visible("nav.sections")


def test_without_javascript_the_numbers_are_there(browser, report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert "need JavaScript" in page.inner_text("#status")
    assert page.locator("#accuracy table").is_visible()
    context.close()
