"""The page that `harmony report --html` makes, in a real browser. `tests/page/run` starts this.

Whatever a test does: a page that writes to the console or asks for anything but itself fails it.
"""

import os
import pathlib
import subprocess
import tempfile
import unittest

import runs
from browser import Browser

ROOT = pathlib.Path(__file__).resolve().parents[2]
HARMONY = os.environ["HARMONY"]
PLATFORMS = ["rust", "python", "cpp", "csharp"]

# Generous: they catch what has become ten times slower, on any machine.
LOADS_WITHIN, FILTERS_WITHIN, HUGE_WITHIN = 3000, 1000, 6000

SHOWN = "[...document.querySelectorAll('#grid:not([hidden]) [data-entry], #matrix:not([hidden]) [data-entry]')]" \
        ".filter((one) => one.offsetParent !== null)"
FOCUS = "document.activeElement"


def setUpModule():
    global browser, folder, pages, counts
    folder = tempfile.TemporaryDirectory()
    pages, counts = {}, {}
    make = lambda name, *what, **how: (runs.write(path(name, "ndjson"), *what, **how), report(name))[0]
    counts["large"] = make("large", PLATFORMS, 75, alone=12)
    counts["huge"] = make("huge", PLATFORMS, 125)
    counts["small"] = make("small", PLATFORMS[:2], 8, alone=2)
    counts["cut"] = make("cut", PLATFORMS[:2], 4, repeat=3, is_cut=True)
    counts["hung"] = make("hung", PLATFORMS[:2], 2, is_cut=True, hangs=True)
    report("every", ROOT / "tests/fixtures/events.ndjson")
    browser = Browser().__enter__()
    print(f"Chromium {browser.version}")


def tearDownModule():
    browser.__exit__()
    folder.cleanup()


def path(name, kind):
    return pathlib.Path(folder.name) / f"{name}.{kind}"


def report(name, log=None):
    page = path(name, "html")
    subprocess.run([HARMONY, "report", log or path(name, "ndjson"), "--html", page], check=True)
    pages[name] = page.as_uri()


class Page(unittest.TestCase):
    def setUp(self):
        browser.screen(1440, 900)
        browser.colours("light")
        browser.complaints()
        browser.requests()

    def tearDown(self):
        self.assertEqual(browser.complaints(), [])
        own = [*pages.values(), "about:blank"]
        foreign = [url for url in browser.requests()
                   if url.split("#")[0] not in own and not url.startswith("data:")]
        self.assertEqual(foreign, [])

    def open(self, name, fragment=""):
        browser.open(pages[name] + fragment)
        self.assertIsNotNone(browser.run("return document.documentElement.dataset.ready"), "the script did not end")

    def shown(self):
        """What the buttons in sight say."""
        return browser.run(f"return {SHOWN}.map((one) => one.getAttribute('aria-label'))")

    def chips(self):
        """The number beside each outcome."""
        return dict(browser.run("return [...document.querySelectorAll('[data-outcome]')].map((chip) =>"
                                "[chip.dataset.outcome, Number(chip.querySelector('b').textContent)])"))

    def heads(self):
        """The columns in sight."""
        return browser.run("return [...document.querySelectorAll('thead th[scope=col]:not(.corner)')]"
                           ".filter((head) => head.offsetParent !== null).map((head) => head.innerText)")

    def address(self):
        return browser.run("return location.hash")

    def text(self, selector):
        return browser.run("return document.querySelector(arguments[0]).innerText", selector)

    def test_every_execution_has_a_button_and_every_outcome_its_count(self):
        self.open("large")
        self.assertEqual(len(self.shown()), sum(counts["large"].values()))
        self.assertEqual(self.chips(), counts["large"])
        # Not by colour alone: each outcome has a letter and a colour that no other has.
        looks = browser.run("return [...document.querySelectorAll('.legend .mark')].map((mark) =>"
                            "[mark.textContent, getComputedStyle(mark).backgroundColor + getComputedStyle(mark).border"
                            " + getComputedStyle(mark).backgroundImage])")
        self.assertEqual(len({letter for letter, _ in looks}), len(looks))
        self.assertGreaterEqual(len({look for _, look in looks}), len(looks) - 1)

    def test_filters_narrow_both_views_and_stand_in_the_address(self):
        self.open("large")
        browser.click("[data-outcome=crashed]")
        self.assertEqual(len(self.shown()), counts["large"]["crashed"])
        self.assertTrue(all(label.endswith(": crashed") for label in self.shown()))
        self.assertIn("outcome=crashed", self.address())
        # What another choice would show is still told.
        self.assertEqual(self.chips(), counts["large"])
        browser.click("[data-outcome=failed]")
        both = counts["large"]["crashed"] + counts["large"]["failed"]
        self.assertEqual(self.text("#shown"), f"{both} of {sum(counts['large'].values())} executions")
        self.choose("platform", "cpp")
        self.assertTrue(self.shown() and all(" cpp" in label for label in self.shown()))
        self.choose("feature", "3")
        labels = self.shown()
        self.assertTrue(labels and all(label.startswith("3.") for label in labels))
        self.assertEqual(self.chips()["failed"] + self.chips()["crashed"], len(labels))
        browser.click("[data-view=matrix]")
        self.assertEqual(sorted(self.shown()), sorted(labels))
        # Someone else sees the same.
        self.open("large", self.address())
        self.assertEqual(sorted(self.shown()), sorted(labels))
        browser.click("#clear")
        self.assertEqual(len(self.shown()), sum(counts["large"].values()))
        self.assertEqual(self.address(), "#view=matrix")

    def test_rows_and_columns_without_anything_are_not_shown(self):
        self.open("large")
        self.assertEqual(self.heads(), [*PLATFORMS, "alone"])
        self.open("large", "#text=subject&platform=rust")
        self.assertEqual(self.heads(), ["alone"])
        self.open("large", "#text=subject&platform=rust&view=matrix")
        self.assertEqual(self.heads(), ["rust"])
        rows = browser.run("return [...document.querySelectorAll('.matrix tbody tr:not(.feature)')]"
                           ".filter((row) => row.offsetParent !== null).length")
        self.assertEqual(rows, 12)

    def choose(self, select, value):
        browser.run("const select = document.getElementById(arguments[0]); select.value = arguments[1];"
                    "select.dispatchEvent(new Event('change', { bubbles: true }))", select, value)

    def test_text_is_looked_for_in_everything(self):
        self.open("every")
        for text, ids in [("segv", []), ("sigsegv", ["1.1"]), ("still alone", ["2.2"] * 4),
                          ("recalls 1.2 undefined", ["1.2"])]:
            browser.click("#text")
            browser.run("document.getElementById('text').value = ''")
            browser.press(*text)
            browser.wait("location.hash === '#text=' + encodeURIComponent(arguments[0])", text)
            found = [label.split()[0] for label in self.shown()]
            self.assertEqual(found, ids if text != "segv" else ["1.1"], text)
        browser.press(*"nothing")
        browser.wait("!document.getElementById('nothing').hidden")
        self.assertEqual(self.shown(), [])

    def test_a_link_opens_an_execution(self):
        self.open("every", "#view=matrix&run=1.1/a_b")
        self.assertIn("1.1 Simple Write-Read Cycle", self.text("#details h2"))
        browser.click("#close")
        self.assertEqual(self.address(), "#view=matrix")
        browser.run("history.back()")
        browser.wait("!document.getElementById('details').hidden")
        self.open("cut", "#run=1.1/rust_python/2")
        self.assertIn("REPETITION 2 OF 3", self.text("#details").upper())
        browser.click(".repetitions a:last-child")
        self.assertIn("REPETITION 3 OF 3", self.text("#details").upper())
        self.assertEqual(self.address(), "#run=1.1/rust_python/3")
        self.open("every", "#run=9.9/no_one")
        self.assertIn("no such execution", self.text("#details"))

    def test_the_summary_says_who_fails_with_whom_and_why_and_leads_there(self):
        self.open("small")
        summary = self.text(".summary")
        for words in ["expected '16' bytes, got '12'", "numbers are different in others", "client python server rust",
                      "at Then the 'client' process does part 5 of it"]:
            self.assertIn(words, summary.replace("\n", " "))
        browser.click(".summary .links a")
        self.assertIn("run=", self.address())
        self.assertIn("expected '16' bytes, got '12'", self.text("#details .step.failed"))

    def test_details_tell_everything(self):
        self.open("every", "#run=1.1/a_b")
        details = self.text("#details")
        for words in ["reader a", "writer b", "features/01-Basic.feature:7", "./test.sh -v --no-sandbox a_b 1.1",
                      "expected 10", "short read", "pid 110", "exited with code 0"]:
            self.assertIn(words, details)
        failed = browser.run("return [...document.querySelectorAll('.step.failed .number')].map((one) => one.textContent)")
        self.assertEqual(failed, ["13"])
        lanes = browser.run("return [...document.querySelectorAll('.timeline .lane')].map((one) => one.querySelectorAll('.part').length)")
        self.assertEqual(lanes, [2, 1, 0])
        # Bars stand in the order of the steps, one process after the other.
        lefts = browser.run("return [0, 1, 2].map((step) => document.querySelector(`.part[data-goto='${step}']`).getBoundingClientRect().left)")
        self.assertEqual(lefts, sorted(lefts))
        browser.click("[data-only='1']")
        left = browser.run("return [...document.querySelectorAll('.log tbody tr:not([hidden]) .who')].map((one) => one.textContent)")
        self.assertEqual(set(left), {"writer"})
        browser.run("navigator.clipboard.writeText = async (text) => { window.copied = text }")
        browser.click("#copy")
        browser.wait("document.getElementById('copy').textContent === 'Copied'")
        self.assertEqual(browser.run("return window.copied"), "./test.sh -v --no-sandbox a_b 1.1")

    def test_earlier_attempts_are_told(self):
        self.open("every", "#run=2.2/c")
        self.assertIn("TRIED 3 TIMES", self.text("#details").upper())
        attempts = browser.run("return [...document.querySelectorAll('.attempt > summary')].map((one) => one.innerText)")
        self.assertEqual([attempt.split(",")[0] for attempt in attempts], ["Attempt 2: timed out", "Attempt 1: failed"])
        first = ".attempt:last-child"
        self.assertNotIn("not yet", self.text(first))
        browser.click(f"{first} > summary")
        for words in ["not yet", "the subject (c, pid 190) was slow", "how far it got", "unwell"]:
            self.assertIn(words, self.text(first))
        # The time line is that of the last attempt, and so is what its bars lead to.
        browser.run("Element.prototype.scrollIntoView = function () { window.shown = this }")
        browser.click(".part[data-goto='0']")
        self.assertTrue(browser.run("return window.shown.matches('.step.done') && !window.shown.closest('.attempt')"))

    def test_what_is_different_from_a_run_before_is_told(self):
        self.open("every")
        self.assertIn("worse:  1.1 a_b: failed (passed before)", self.text(".comparison"))
        self.open("small")
        self.assertIsNone(browser.run("return document.querySelector('.comparison')"))

    def test_logs_are_bounded_and_the_page_says_so(self):
        self.open("large", "#run=1.1/rust_rust")
        rows = browser.run("return document.querySelectorAll('.log tbody tr').length")
        self.assertEqual(rows, 30)
        self.assertIn("2 earlier lines are left out", self.text("#details"))

    def test_it_can_be_used_with_the_keyboard_alone(self):
        self.open("small")
        browser.run("document.getElementById('text').focus()")
        for _ in range(20):
            if browser.run(f"return {FOCUS}.matches('[data-entry]')"):
                break
            browser.press("Tab")
        where = lambda: browser.run(f"return {FOCUS}.getAttribute('aria-label') ?? ''")
        self.assertTrue(where().startswith("1.1 "), where())
        self.assertNotEqual(browser.run(f"return getComputedStyle({FOCUS}).outlineStyle"), "none")
        browser.press("ArrowRight")
        self.assertTrue(where().startswith("1.2 "), where())
        browser.press("End", "Home", "ArrowRight", "ArrowLeft")
        self.assertTrue(where().startswith("1.1 "), where())
        # One key leads out of a cell, however many buttons it has.
        browser.press("Tab")
        self.assertTrue(where().startswith("1.1 ") and "server python" in where(), where())
        label = where()
        browser.press("Enter")
        self.assertIn("run=1.1/rust_python", self.address())
        self.assertEqual(browser.run(f"return {FOCUS}.tagName"), "H2")
        browser.press("Escape")
        self.assertEqual((self.address(), where()), ("", label))
        # Through all failures and around.
        failures = browser.run("return [...document.querySelectorAll('#grid [data-entry]')].map((one) =>"
                               "[Number(one.dataset.entry), one.getAttribute('aria-label').split(': ').pop()])")
        red = sum(outcome in ("failed", "timed out", "crashed") for _, outcome in failures)
        self.assertGreater(red, 2)
        seen = []
        for _ in range(red):
            browser.press("n")
            seen.append(self.address())
            self.assertTrue(browser.run("return document.querySelector('#details .word').classList.contains('bad')"))
        self.assertEqual(len(set(seen)), red)
        browser.press("n")
        self.assertEqual(self.address(), seen[0])
        browser.press("p")
        self.assertEqual(self.address(), seen[-1])
        browser.press("Escape", "/")
        self.assertEqual(browser.run(f"return {FOCUS}.id"), "text")
        browser.press("n")
        browser.wait("location.hash === '#text=n'")

    def test_arrows_go_through_the_matrix_in_both_directions(self):
        self.open("small", "#view=matrix")
        browser.run("document.querySelector('#matrix [data-entry][tabindex=\"0\"]').focus()")
        where = lambda: browser.run(f"return {FOCUS}.getAttribute('aria-label')")
        browser.press("ArrowDown", "ArrowRight")
        self.assertTrue(where().startswith("1.2 ") and "server python" in where(), where())
        browser.press("ArrowUp")
        self.assertTrue(where().startswith("1.1 ") and "server python" in where(), where())

    def test_heads_of_the_matrix_stay_in_sight(self):
        self.open("large", "#view=matrix")
        browser.screen(700, 600)
        moved = browser.run("""
            const box = document.querySelector('#matrix .scroll');
            box.scrollTop = 700; box.scrollLeft = 300;
            const at = (element) => { const r = element.getBoundingClientRect(), b = box.getBoundingClientRect();
                                      return [Math.round(r.left - b.left), Math.round(r.top - b.top)]; };
            const head = box.querySelector('thead th:nth-child(9)'), row = box.querySelector('tbody tr:nth-child(30) th');
            return [box.scrollTop, box.scrollLeft, at(head)[1], at(row)[0]];""")
        self.assertGreater(min(moved[:2]), 100, "nothing to scroll")
        self.assertLessEqual(max(map(abs, moved[2:])), 2)

    def test_every_text_can_be_read_in_light_and_dark(self):
        for colours in ["light", "dark"]:
            browser.colours(colours)
            self.open("every", "#run=1.1/a_b")
            is_dark = luminance(browser.run("return getComputedStyle(document.body).backgroundColor")) < 0.2
            self.assertEqual(is_dark, colours == "dark")
            for text, front, back in browser.run(TEXTS):
                self.assertGreaterEqual(contrast(front, back), 4.5, f"{colours}: {text} {front} {back}")

    def test_nothing_is_wider_than_a_phone(self):
        browser.screen(360, 740, 2)
        for name, fragment in [("every", ""), ("every", "#view=matrix"), ("every", "#run=1.1/a_b"), ("large", ""),
                               ("large", "#view=matrix"), ("large", "#run=1.2/rust_cpp"), ("cut", "")]:
            self.open(name, fragment)
            width, sideways = browser.run("""
                const panel = document.getElementById('details');
                return [document.documentElement.scrollWidth, panel.scrollWidth - panel.clientWidth];""")
            self.assertLessEqual(width, 360, f"{name}{fragment}")
            self.assertLessEqual(sideways, 0, f"details of {name}{fragment}")
        self.open("large")
        self.assertEqual(len(self.shown()), sum(counts["large"].values()))

    def test_printed_it_has_the_results_and_not_the_controls(self):
        self.open("every", "#run=1.1/a_b")
        browser.devtools("Emulation.setEmulatedMedia", media="print")
        self.assertFalse(browser.run("return document.getElementById('filters').checkVisibility()"))
        self.assertTrue(browser.run("return document.querySelector('#details .steps').checkVisibility()"))
        self.assertEqual(browser.run("return getComputedStyle(document.getElementById('details')).position"), "static")
        browser.devtools("Emulation.setEmulatedMedia", media="")

    def test_a_run_that_was_cut_short_says_so_first(self):
        self.open("cut")
        top = browser.run("const box = document.querySelector('[role=alert]').getBoundingClientRect();"
                          "return [box.top, box.height]")
        self.assertTrue(0 < top[0] < 300 and top[1] > 20, top)
        self.assertIn("incomplete", self.text("[role=alert]"))
        self.assertTrue(any(label.split(", ")[-2].endswith("incomplete") for label in self.shown()), self.shown())

    def test_what_a_run_did_not_get_to_is_no_failure(self):
        self.open("hung")
        self.assertEqual(self.text("h1"), "Nothing failed so far")
        self.assertNotIn("Who fails with whom", self.text("#page"))
        self.assertIn("at Given the 'client' process does part 0 of it", self.text("[aria-labelledby=running]"))
        self.assertEqual(browser.run("return document.querySelectorAll('.t-bad').length"), 0)
        browser.click("[aria-labelledby=running] .links a")
        self.assertTrue(browser.run("return document.querySelector('[data-failure]').disabled"))
        self.assertFalse(browser.run("return document.querySelector('#details .word').classList.contains('bad')"))
        here = self.address()
        browser.press("n")
        self.assertEqual(self.address(), here)

    def test_what_processes_say_stays_text(self):
        for name, fragment, words in [("small", "", "its last line"), ("every", "#run=1.2/a_b", "Hostile")]:
            self.open(name, fragment)
            if not fragment:
                browser.press("n")
            self.assertIn(words, self.text("#details"))
            self.assertIsNone(browser.run("return window.broken ?? null"))
            self.assertEqual(browser.run("return [document.scripts.length, document.images.length]"), [2, 0])

    def test_large_runs_open_and_are_filtered_at_once(self):
        for name, loads_within in [("large", LOADS_WITHIN), ("huge", HUGE_WITHIN)]:
            self.open(name)
            ready = int(browser.run("return document.documentElement.dataset.ready"))
            filtered = browser.run("""
                const began = performance.now();
                document.querySelector('[data-outcome=failed]').click();
                document.body.getBoundingClientRect();
                return performance.now() - began;""")
            matrix = browser.run("""
                const began = performance.now();
                document.querySelector('[data-view=matrix]').click();
                document.body.getBoundingClientRect();
                return performance.now() - began;""")
            size = path(name, "html").stat().st_size
            print(f"{sum(counts[name].values())} executions, {size / 1e6:.1f} MB: ready after {ready} ms, "
                  f"filtered in {filtered:.0f} ms, matrix in {matrix:.0f} ms")
            self.assertLess(ready, loads_within)
            self.assertLess(filtered, FILTERS_WITHIN)
            self.assertLess(matrix, loads_within)
            self.assertLess(size / sum(counts[name].values()), 6000, "the page has grown")


# Every text in sight with its colour, and the colour that is painted behind it.
TEXTS = """
    const behind = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor;
        if (!/rgba\\(.*, 0\\)|transparent/.test(colour)) return colour;
      }
      return 'rgb(255, 255, 255)';
    };
    const found = new Map();
    for (const element of document.querySelectorAll('body *:not(script):not(option)')) {
      const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
      const isFaded = element.closest('.not-reached, :disabled');
      if (!own || isFaded || !element.checkVisibility()) continue;
      const style = getComputedStyle(element);
      found.set(style.color + behind(element), [element.textContent.trim().slice(0, 40), style.color, behind(element)]);
    }
    return [...found.values()];"""


def channels(colour):
    return [float(part) / 255 for part in colour[colour.index("(") + 1:-1].split(",")[:3]]


def luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(front, back):
    lighter, darker = sorted([luminance(front), luminance(back)], reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


if __name__ == "__main__":
    unittest.main()
