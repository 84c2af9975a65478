# SPDX-License-Identifier: MIT
"""The page of novad in a real browser: only with --long, which installs Chromium."""
import os
import shutil
import subprocess
import sys
import unittest

from novadcase import NovadCase

PACKAGES = ["selenium>=4.20,<5"]
HOSTILE = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"


@unittest.skipUnless(os.environ.get("NOVA_TEST_LONG"), "a browser: tools/test --long")
class Page(NovadCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not shutil.which("chromedriver"):
            raise unittest.SkipTest("there is no chromedriver (Debian: chromium-driver)")
        place = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
                             "nova-test-browser")
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--root-user-action=ignore",
             "--upgrade", "--target", place, *PACKAGES], capture_output=True, text=True,
            timeout=600, check=False)
        if done.returncode:
            raise unittest.SkipTest(f"pip cannot fetch selenium: {done.stderr[-300:]}")
        sys.path.insert(0, place)
        cls.addClassCleanup(sys.path.remove, place)

    def setUp(self):
        super().setUp()
        from selenium import webdriver
        from selenium.webdriver.common.by import By
        from selenium.webdriver.common.keys import Keys
        from selenium.webdriver.support.wait import WebDriverWait
        self.By, self.Keys = By, Keys
        options = webdriver.ChromeOptions()
        for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage",
                     f"--user-data-dir={self.directory / 'browser'}"):
            options.add_argument(word)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.browser = webdriver.Chrome(
            options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        self.addCleanup(self.browser.quit)
        self.until = WebDriverWait(self.browser, 30).until

    def text(self, identity):
        return self.browser.find_element(self.By.ID, identity).text

    def reads(self, identity, part):
        """Awaits that an element holds this text."""
        try:
            self.until(lambda _: part in self.text(identity))
        except Exception:
            self.fail(f"#{identity} is {self.text(identity)!r}, without {part!r}")

    def types(self, identity, *keys):
        self.browser.find_element(self.By.ID, identity).send_keys(*keys)

    def presses(self, *keys):
        self.browser.switch_to.active_element.send_keys(*keys)

    def opens(self, view, key=True):
        self.browser.get(f"http://127.0.0.1:{self.port}/#{view}")
        if key:
            self.types("key", self.key, self.Keys.ENTER)

    def test_an_execution_is_streamed(self):
        self.novad()
        self.opens("run")
        code = self.browser.find_element(self.By.ID, "code")
        code.clear()
        code.send_keys("import sys, time\nprint('first', flush=True)\ntime.sleep(1000)")
        code.send_keys(self.Keys.CONTROL, self.Keys.ENTER)
        self.reads("output", "first")
        self.assertEqual(self.text("run-state"), "running")
        self.browser.find_element(self.By.ID, "stop").click()
        self.until(lambda _: self.text("run-state") != "running")
        self.assertTrue(self.browser.find_element(self.By.ID, "run").is_enabled())
        code.clear()
        code.send_keys("import sys; print('out'); print('wrong', file=sys.stderr); sys.exit(3)")
        self.browser.find_element(self.By.ID, "run").click()
        self.reads("output", "out")
        self.reads("output", "wrong")
        self.reads("run-state", "3")

    def test_functions_calls_and_instances_are_shown_and_a_hostile_output_is_a_text(self):
        self.register("rude", f"said = {HOSTILE!r}\n"
                              "def handler(event):\n    print(said)\n    return said")
        self.register("fails", f"def handler(event):\n    raise ValueError({HOSTILE!r})")
        self.novad()
        self.gets(200, "POST", "/functions/rude/invoke", {})
        self.ask("POST", "/functions/fails/invoke", {})
        self.gets(201, "POST", "/api/v1/instances", {"function": "rude", "name": "one"})
        self.opens("functions")
        self.reads("functions", "rude")
        self.browser.find_element(self.By.ID, "function-rude").click()
        self.reads("function", "Call it")
        self.browser.find_element(self.By.CSS_SELECTOR, "#function form button").click()
        self.reads("answer", "<img src=x")
        self.opens("calls")
        self.reads("calls", "fails:1")
        self.reads("calls", "function_failed")
        self.assertTrue(self.browser.find_elements(self.By.CSS_SELECTOR, "#calls rect.failed"))
        self.browser.find_elements(self.By.CSS_SELECTOR, "#calls button")[0].click()
        self.reads("call", "stdout")
        self.opens("log")
        self.reads("log", "<img src=x")
        self.reads("log", "ValueError")
        self.gets(200, "POST", "/functions/rude/invoke", {})
        self.until(lambda _: self.text("log").count("rude") >= 3)
        self.opens("instances")
        self.reads("instances", "running")
        self.browser.find_element(self.By.CSS_SELECTOR, "#instances button").click()
        self.reads("instances", "Resume")
        self.assertEqual(self.browser.title, "novad")
        self.assertFalse(self.browser.find_elements(self.By.CSS_SELECTOR, "main img, main script"))

    def test_it_is_used_by_keyboard_alone_and_a_wrong_key_is_told(self):
        self.register("echo", "def handler(event):\n    return event")
        self.novad()
        self.opens("functions", key=False)
        self.reads("state", "a key is needed")
        self.types("key", "wrong", self.Keys.ENTER)
        self.reads("state", "key")
        self.types("key", self.key, self.Keys.ENTER)
        self.reads("functions", "echo")
        self.assertEqual(self.text("state"), "")
        self.browser.execute_script("document.getElementById('forget').focus()")
        self.presses(self.Keys.TAB)
        while self.browser.switch_to.active_element.get_attribute("id") != "function-echo":
            self.presses(self.Keys.TAB)
        self.presses(self.Keys.ENTER)
        self.reads("function", "Call it")
        self.assertEqual(self.browser.switch_to.active_element.get_attribute("id"),
                         "function-echo", "the focus stays where it was")
        while self.browser.switch_to.active_element.get_attribute("id") != "event":
            self.presses(self.Keys.TAB)
        self.presses(self.Keys.CONTROL, "a")
        self.presses('{"n": 1}')
        self.presses(self.Keys.TAB)
        self.presses(self.Keys.ENTER)
        self.reads("answer", '"n": 1')
        outline = self.browser.execute_script(
            "return getComputedStyle(document.activeElement).outlineStyle")
        self.assertEqual(outline, "solid", "the focus is seen")

    def test_a_refusal_stays_and_so_does_the_focus(self):
        self.register("f", "cat", "shell")
        self.plant_snapshot("1" * 16, "mine")
        self.novad()
        self.gets(201, "POST", "/api/v1/instances", {"function": "f", "name": "one"})
        self.opens("instances")
        self.reads("instances", "running")
        pause = self.browser.find_element(self.By.CSS_SELECTOR, "#instances button")
        self.assertEqual(pause.accessible_name, "Pause one")
        identity = pause.get_attribute("id")
        self.browser.execute_script("arguments[0].focus()", pause)
        self.presses(self.Keys.ENTER)
        self.reads("instances", "Resume")
        self.assertEqual(self.browser.switch_to.active_element.get_attribute("id"), identity)
        self.opens("snapshots")
        self.reads("snapshots", "mine")
        self.browser.find_element(self.By.ID, f"start-{'1' * 16}").click()
        asked = self.until(lambda browser: browser.switch_to.alert)
        asked.send_keys("f")
        asked.accept()
        self.reads("state", "takes no snapshots")
        self.plant_snapshot("2" * 16, "later")
        self.reads("snapshots", "later")  # it has looked again
        self.assertIn("takes no snapshots", self.text("state"))
        gone = self.browser.find_element(self.By.ID, f"delete-{'2' * 16}")
        self.browser.execute_script("arguments[0].focus()", gone)
        self.presses(self.Keys.ENTER)
        self.until(lambda browser: browser.switch_to.alert).accept()
        self.until(lambda _: "later" not in self.text("snapshots"))
        self.assertEqual(self.browser.switch_to.active_element.get_attribute("id"), "main")
        self.assertEqual(self.text("state"), "")

    def test_light_and_dark_can_both_be_read(self):
        self.novad()
        self.opens("run")
        for scheme in ("light", "dark"):
            self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
                {"name": "prefers-color-scheme", "value": scheme}]})
            worst = self.browser.execute_script(CONTRAST)
            self.assertGreaterEqual(worst, 4.5, f"contrast, {scheme}")


# The least contrast (WCAG) of a text on what is behind it.
CONTRAST = """
const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
const part = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
function behind(element) {
    for (; element; element = element.parentElement) {
        const color = rgb(getComputedStyle(element).backgroundColor);
        if (color.length < 4 || color[3] > 0)
            return color;
    }
}
let worst = 21;
for (const element of document.querySelectorAll("body *")) {
    const words = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!words || !element.checkVisibility() || element.matches(":disabled, option"))
        continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(behind(element))];
    worst = Math.min(worst, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
}
return worst;
"""
