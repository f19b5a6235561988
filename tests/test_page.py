"""The page in a real browser: what a visitor does, sees and is spared."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect, sync_playwright

from bwcoach.ui import LAUNCH, build_ui
from bwcoach.ui.desk import Desk
from tests.scripted_coach import ScriptedReader, scripted_card, scripted_coach
from tests.tiny_coach import tiny_model

Scheme = Literal["light", "dark"]

# Gradio's queue keeps its figures with pandas, in ways that pandas is about to give up.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio", "ignore::FutureWarning:gradio")

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "chromium")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip
PATTERNS = {
    "wordiness": r"In terms of the cost side of it", "vague-language": r"cost side", "hedging": r"perhaps a bit",
    "loaded-language": r"some moron", "mechanics": r"had ran|<img src=x onerror", "overclaim": r"proves",
}  # fmt: skip
DRAFT = (
    "My neighbour had ran away from some moron with a rocket.\n\nIn terms of the cost side of it, a display would come "
    "to less.  It is perhaps a bit early to say so."
)


@dataclass
class Site:
    """A running page, the model double behind it, and the desk that lends it."""

    url: str
    reader: ScriptedReader
    desk: Desk


@dataclass
class Visit:
    """A tab of the browser that keeps an eye on what must never happen in it."""

    page: Page
    strays: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def watch(self, home: str) -> None:
        def requested(url: str) -> None:
            if urlsplit(url).scheme not in ("data", "blob") and not url.startswith(home):
                self.strays.append(url)

        self.page.on("request", lambda request: requested(request.url))
        self.page.on("websocket", lambda socket: requested(socket.url))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", self.refuse)
        self.page.on("console", lambda m: self.faults.append(m.text) if m.type == "error" else None)

    def refuse(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def assert_calm(self) -> None:
        assert self.strays == [], "a request left this machine"
        assert self.faults == []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    reader = ScriptedReader(PATTERNS, base=frozenset({"mechanics"}), fix=("about the cost", 0.9))
    desk = Desk(load=lambda model: scripted_coach(reader), card=lambda model: scripted_card())
    port = free_port()
    page = build_ui(("scripted",), "scripted", "It is the only one here.", desk)
    page.launch(server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, **LAUNCH)
    yield Site(f"http://127.0.0.1:{port}/", reader, desk)
    page.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def visit(site: Site, chromium: Browser) -> Iterator[Visit]:
    """A visitor at the page. What nobody may ever see is looked for at the end of each test."""
    site.reader.go_on.clear()
    context = chromium.new_context(viewport={"width": 1280, "height": 860})
    visit = enter(context, site.url)
    yield visit
    context.close()
    site.reader.go_on.set()
    visit.assert_calm()


def enter(context: BrowserContext, url: str) -> Visit:
    visit = Visit(context.new_page())
    visit.watch(url)
    visit.page.goto(url)
    visit.page.wait_for_selector("#draft textarea")
    return visit


def diagnose(page: Page, text: str) -> None:
    page.fill("#draft textarea", text)
    page.click("#diagnose")
    expect(page.locator("#status")).to_contain_text(" read in ")


def shown_text(page: Page) -> str:
    return str(page.locator("#review .draft-text").evaluate("node => node.textContent"))


def test_findings_stand_in_the_draft_and_on_their_cards(visit: Visit) -> None:
    page = visit.page
    diagnose(page, DRAFT)
    assert shown_text(page) == DRAFT
    quotes = page.locator(".card .quote").all_inner_texts()
    assert quotes == ["had ran", "some moron", "In terms of the cost side of it", "cost side"]
    assert page.locator(".number").evaluate_all("all => all.map(n => n.dataset.number)") == ["1", "2", "4", "3"]
    assert sum(map(int, page.locator(".chip .count").all_inner_texts())) == len(quotes)
    expect(page.locator("#status")).to_contain_text("4 findings")
    expect(page.locator("#status")).to_contain_text("scripted, measured precision 0.41")
    expect(page.locator("#model-note")).to_contain_text("Chosen for you. It is the only one here.")


def test_where_findings_overlap_both_lines_are_drawn_and_a_second_click_reaches_the_outer_one(visit: Visit) -> None:
    page = visit.page
    diagnose(page, DRAFT)
    inner = page.locator(".mark .mark").first
    assert inner.inner_text() == "cost side"
    lines = inner.evaluate(
        "node => [node, node.parentElement].map(n => [getComputedStyle(n).textDecorationStyle,"
        " getComputedStyle(n).textDecorationColor, getComputedStyle(n).textUnderlineOffset])"
    )
    assert all(one != other for one, other in zip(*lines, strict=True))
    inner.click()
    expect(page.locator(".card.open .quote")).to_have_text(["cost side"])
    inner.click()
    expect(page.locator(".card.current .quote")).to_have_text("In terms of the cost side of it")


def test_the_keyboard_alone_goes_from_the_text_to_a_card_and_back(visit: Visit) -> None:
    page = visit.page
    diagnose(page, DRAFT)
    page.locator("#review .number").first.focus()
    page.keyboard.press("Enter")
    head = page.locator(".card").first.locator(".head")
    expect(head).to_be_focused()
    expect(head).to_have_attribute("aria-expanded", "true")
    expect(page.locator(".card").first).to_contain_text("Why it matters")
    page.keyboard.press("Escape")
    expect(page.locator(".number").first).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator(".number").nth(1)).to_be_focused()
    page.keyboard.press("Space")
    expect(page.locator(".card").nth(1).locator(".head")).to_be_focused()


def test_everything_that_can_be_operated_has_a_name(visit: Visit) -> None:
    page = visit.page
    diagnose(page, DRAFT)
    for role in ("button", "textbox", "slider", "tab", "combobox", "listbox", "spinbutton"):
        for node in page.get_by_role(role).all():
            name = node.evaluate(
                "n => n.ariaLabel || n.textContent.trim() || n.labels?.[0]?.textContent.trim() || n.title"
            )
            assert name, node.evaluate("n => n.outerHTML")


def test_a_fix_comes_when_it_is_asked_for_and_only_where_it_is_probable(visit: Visit, site: Site) -> None:
    page = visit.page
    diagnose(page, DRAFT)
    expect(page.locator("ins")).to_have_count(0)
    first, last = page.locator(".card").first, page.locator(".card").last
    last.locator(".head").click()
    last.get_by_role("button", name="Suggest a fix").click()
    expect(last.locator("ins")).to_have_text("about the cost")
    expect(last.locator(".fix")).to_be_focused()
    expect(last).to_have_class(re.compile("open"))
    site.reader.fix = ("whatever", 0.1)
    first.locator(".head").click()
    first.get_by_role("button", name="Suggest a fix").click()
    expect(first.locator(".fix")).to_contain_text("No fix is probable enough")
    site.reader.fix = ("about the cost", 0.9)


def test_markup_in_a_draft_is_shown_and_never_run(visit: Visit) -> None:
    hostile = (
        "They had ran off <img src=x onerror=window.hit=1> and </script><script>window.hit=1</script> then "
        "<svg onload=window.hit=1> said ${window.hit=1} {{window.hit}} &lt;b&gt; <b>so</b>."
    )
    diagnose(visit.page, hostile)
    assert shown_text(visit.page) == hostile
    assert visit.page.locator(".card .quote").all_inner_texts() == ["had ran", "img src=x onerror=window.hit=1"]
    assert visit.page.locator("#review :is(img, script, svg, b:not(.more b))").count() == 0
    assert visit.page.evaluate("window.hit") is None


def test_characters_that_no_page_can_show_do_not_move_the_marks(visit: Visit) -> None:
    text = "\u202eThey\u202c had ran \U0001f469\u200d\U0001f4bb off, \u05e9\u05dc\u05d5\u05dd they said.\n" * 2
    page = visit.page
    page.locator("#draft textarea").evaluate(
        "(node, text) => { node.value = text + '\\ud800 and \\u0000 so on.';"
        " node.dispatchEvent(new Event('input', {bubbles: true})); }",
        text,
    )
    page.click("#diagnose")
    expect(page.locator("#status")).to_contain_text("2 findings")
    assert shown_text(page) == text + "\ufffd and \ufffd so on."
    assert page.locator(".mark").all_inner_texts() == ["had ran", "had ran"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", "is empty"), ("   \n", "is empty"), ("Word", "a single word"), ("{}[]();=0 1 2 3 4 5", "hardly made of"),
        ("word " * 130_000, "Check it chapter by chapter"), ("x" * 1_100_000, "Check it chapter by chapter"),
    ],
    ids=["empty", "blank", "one word", "code", "too many words", "too long a line"],
)  # fmt: skip
def test_a_draft_that_cannot_be_read_is_refused_in_a_sentence_and_kept(visit: Visit, text: str, answer: str) -> None:
    page = visit.page
    page.fill("#draft textarea", text)
    page.click("#diagnose")
    expect(page.locator("#status [role=alert]")).to_contain_text(answer)
    assert page.input_value("#draft textarea") == text
    expect(page.locator("#diagnose")).to_be_enabled()


def test_stop_keeps_what_was_found_and_the_next_reading_runs(visit: Visit, site: Site) -> None:
    page = visit.page
    first = DRAFT + "\n\n" + "A plain sentence of eight words stands here. " * 30
    page.fill("#draft textarea", f"{first}\n\nThis part is read slowly and had ran too.")
    page.click("#diagnose")
    expect(page.locator(".card")).to_have_count(4)
    expect(page.locator("#status")).to_contain_text("left")
    page.click("#stop")
    expect(page.locator("#status")).to_contain_text("stopped after")
    expect(page.locator(".card")).to_have_count(4)
    expect(page.locator("#diagnose")).to_be_enabled()
    site.reader.go_on.set()
    page.click("#diagnose")
    expect(page.locator("#status")).to_contain_text(" read in ")
    expect(page.locator(".card")).to_have_count(5)


def test_who_waits_is_served_when_the_one_before_stops_or_leaves(visit: Visit, site: Site, chromium: Browser) -> None:
    other_context = chromium.new_context()
    other = enter(other_context, site.url)
    other.page.fill("#draft textarea", "Zanzibar had ran slowly, and it holds the model.")
    other.page.click("#diagnose")
    expect(other.page.locator("#status")).to_contain_text("left")
    visit.page.fill("#draft textarea", DRAFT)
    visit.page.click("#diagnose")
    expect(visit.page.locator("#status")).to_contain_text("Waiting for the model")
    other_context.close()
    expect(visit.page.locator("#status")).to_contain_text(" read in ", timeout=40_000)
    assert shown_text(visit.page) == DRAFT
    assert "Zanzibar" not in visit.page.content()


def test_strictness_sorts_the_findings_anew_without_another_reading(visit: Visit) -> None:
    page = visit.page
    diagnose(page, DRAFT)
    slider = page.locator("#strictness input[type=range]")
    slider.fill("0.15")
    expect(page.locator(".card")).to_have_count(5)
    expect(page.locator(".card .quote").last).to_have_text("perhaps a bit")
    slider.fill("0.95")
    expect(page.locator(".card")).to_have_count(0)
    expect(page.locator(".nothing")).to_contain_text("Nothing found at this strictness")
    slider.focus()
    page.keyboard.press("Home")
    expect(page.locator("#status")).to_contain_text("Press Diagnose to read it so")
    slider.fill("0.5")
    expect(page.locator(".card")).to_have_count(4)


def test_a_criterion_can_be_hidden_and_shown_again(visit: Visit) -> None:
    page = visit.page
    diagnose(page, DRAFT)
    chip = page.locator(".chip", has_text="Wordiness")
    chip.click()
    expect(chip).to_have_attribute("aria-pressed", "false")
    expect(page.locator(".card:visible")).to_have_count(3)
    chip.click()
    expect(page.locator(".card:visible")).to_have_count(4)


def test_a_rubric_of_ones_own_shows_what_is_wrong_in_it_line_by_line(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    page.fill("#draft textarea", DRAFT)
    page.click("#rubric input")
    page.get_by_role("option", name="My own").click()
    page.click("#diagnose")
    expect(page.locator("#status [role=alert]")).to_contain_text("Choose the YAML file of your rubric first")
    wrong = tmp_path / "mine.yaml"
    wrong.write_text('name: mine\ntitle: "<img src=x onerror=window.hit=1>"\n<img src=x onerror=window.hit=1>: 1\n')
    page.set_input_files("#rubric-file input[type=file]", wrong)
    note = page.locator(".note [role=alert]")
    expect(note).to_contain_text("mine.yaml:3: ")
    assert "gradio" not in note.inner_text()
    page.click("#diagnose")
    expect(page.locator("#status [role=alert]")).to_contain_text("mine.yaml:3: ")
    assert page.evaluate("window.hit") is None


def test_a_rubric_the_model_was_not_taught_is_refused_with_what_would_work(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    mine = tmp_path / "mine.yaml"
    built_in = (ROOT / "rubrics/position-paper.yaml").read_text(encoding="utf-8")
    mine.write_text(built_in.replace("name: position-paper", "name: mine", 1), encoding="utf-8")
    page.fill("#draft textarea", DRAFT)
    page.click("#rubric input")
    page.get_by_role("option", name="My own").click()
    page.set_input_files("#rubric-file input[type=file]", mine)
    expect(page.locator(".note").first).to_contain_text("13 criteria")
    page.click("#diagnose")
    expect(page.locator("#status [role=alert]")).to_contain_text("was not taught the rubric mine")


def test_compare_shows_what_each_found_alone_and_what_both_did(visit: Visit) -> None:
    page = visit.page
    page.fill("#draft textarea", DRAFT)
    page.get_by_role("tab", name="Compare").click()
    page.click("#compare")
    sides = page.locator(".side")
    expect(sides).to_have_count(2)
    expect(page.locator("#compare-status")).to_contain_text("Both found 1 · only base 0 · only tuned 3")
    left, right = (sides.nth(n).bounding_box() for n in (0, 1))
    assert left is not None
    assert right is not None
    assert left["x"] + left["width"] <= right["x"]
    assert left["y"] == right["y"]
    expect(sides.nth(0)).to_contain_text(re.compile(r"before tuning: 1 finding in \d+\.\d\d s"))
    expect(sides.nth(1)).to_contain_text(re.compile(r"with its adapter: 4 findings in \d+\.\d\d s"))
    expect(sides.nth(1).locator(".entry .quote")).to_have_text(
        ["some moron", "In terms of the cost side of it", "cost side", "had ran"]
    )
    sides.nth(1).locator(".entry").first.click()
    expect(sides.nth(1).locator(".mark.current")).to_have_text("some moron")


def test_an_example_draft_brings_its_rubric_and_is_diagnosed(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("button", name="Lead in school water").click()
    expect(page.locator("#rubric input")).to_have_value("Scientific paper")
    expect(page.locator("#draft textarea")).to_have_value(re.compile(r"\w+"))
    given = page.input_value("#draft textarea")
    page.click("#diagnose")
    expect(page.locator("#status")).to_contain_text(" read in ")
    assert shown_text(page) == given
    page.click("#edit")
    assert page.input_value("#draft textarea") == given


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_the_screen_and_criteria_stand_out(site: Site, chromium: Browser, scheme: Scheme, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    visit = enter(context, site.url)
    diagnose(visit.page, DRAFT + " " + "W" * 300)
    widths = [visit.page.evaluate("document.documentElement.scrollWidth")]
    contrasts = visit.page.evaluate(CONTRASTS)
    visit.page.get_by_role("tab", name="Compare").click()
    visit.page.click("#compare")
    expect(visit.page.locator(".side")).to_have_count(2)
    widths.append(visit.page.evaluate("document.documentElement.scrollWidth"))
    assert max(widths) <= width
    assert min(contrasts) >= 4.5
    visit.assert_calm()
    context.close()


# WCAG 2 contrast for each of 13 hues: a number on its badge, and the badge's colour on the sheet.
CONTRASTS = """() => {
  const paint = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const light = (colour) => {
    paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1);
    const [r, g, b] = Array.from(paint.getImageData(0, 0, 1, 1).data, (v) => v / 255)
      .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const sheet = getComputedStyle(document.querySelector(".sheet")).backgroundColor;
  const badge = document.querySelector(".card .badge");
  return Array.from({length: 13}, (_, n) => {
    badge.closest(".card").style.setProperty("--hue", n * 360 / 13);
    const {color, backgroundColor} = getComputedStyle(badge);
    return Math.min(contrast(color, backgroundColor), contrast(backgroundColor, sheet));
  });
}"""


def test_no_file_of_the_machine_is_served_and_nothing_watches(site: Site) -> None:
    for path in (ROOT / "pyproject.toml", ROOT / "rubrics/position-paper.yaml", Path("/etc/passwd")):
        assert httpx.get(f"{site.url}gradio_api/file={path}").status_code in (403, 404)
    assert httpx.get(f"{site.url}monitoring/summary").status_code in (403, 404)
    page = httpx.get(site.url).text
    assert '"run_history":false' in page.replace(" ", "")


def test_too_large_an_upload_is_refused(site: Site) -> None:
    sent = httpx.post(f"{site.url}gradio_api/upload", files={"files": ("rubric.yaml", b"x" * 1_200_000)})
    assert sent.status_code == 413


def test_starting_with_a_model_that_is_not_there_says_what_would_work() -> None:
    command = [sys.executable, "app.py", "--no-browser", "--model", "no-such-model"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert "no-such-model: no such model" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_said_to_be() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "app.py", "--no-browser", "--port", port, "--model", str(tiny_model())]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert "choose another --port" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_page_as_it_is_started_reads_an_example_with_the_embedded_model(chromium: Browser) -> None:
    port = free_port()
    command = [sys.executable, "app.py", "--no-browser", "--port", str(port), "--model", "mini"]
    # A proxy that nobody runs: whatever went through it would fail.
    environment = {**os.environ, "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as served:
        try:
            assert served.stdout is not None
            threading.Thread(target=lambda out=served.stdout: list(out), daemon=True).start()
            wait_until_served(port, served)
            context = chromium.new_context()
            visit = enter(context, f"http://127.0.0.1:{port}/")
            visit.page.get_by_role("button", name="Private fireworks").click()
            expect(visit.page.locator("#draft textarea")).to_have_value(re.compile("fireworks"))
            given = visit.page.input_value("#draft textarea")
            visit.page.click("#diagnose")
            expect(visit.page.locator("#status")).to_contain_text(" read in ", timeout=60_000)
            assert shown_text(visit.page) == given
            quotes = visit.page.locator(".card .quote").all_text_contents()
            assert quotes
            assert all(quote in given for quote in quotes)
            visit.page.get_by_role("tab", name="Compare").click()
            visit.page.click("#compare")
            expect(visit.page.locator(".side")).to_have_count(2, timeout=60_000)
            visit.assert_calm()
            context.close()
        finally:
            served.terminate()


def wait_until_served(port: int, process: subprocess.Popen[str]) -> None:
    """Until the port answers; the process's end, not a clock, says that it never will."""
    pause = threading.Event()
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        pause.wait(0.2)
    raise AssertionError("the page ended before it was served")
