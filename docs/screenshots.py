"""Take the pictures of docs/report.md: a report of a run on the demo, in headless Chromium.

    python docs/screenshots.py

It needs the development packages, chromium and chromedriver. Every picture is a PNG of at most 256
colours in docs/images.
"""

from __future__ import annotations

import base64
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

import finetune_embed as fe
from finetune_embed.demo import REVIEWS, VECTORS

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
#: The name of each picture, the width and height of the window, light or dark, and what is shown.
PICTURES = (
    ("report-light.png", 1160, 1010, False, "body"),
    ("report-words-dark.png", 1160, 800, True, "#words"),
    ("report-texts-light.png", 1160, 700, False, "#texts"),
    ("report-narrow-dark.png", 390, 1150, True, "#words"),
)


def main() -> None:
    """Write the pictures."""
    sys.path.insert(0, str(ROOT / "tests" / "reporting"))
    from chromium import Browser, emulate, open_browser

    def picture(browser: Browser, page: str, width: int, height: int, dark: bool, at: str) -> bytes:
        emulate(browser, width, height, dark)
        browser.get(page)
        shown = "const top = document.querySelector(arguments[0]).getBoundingClientRect().top;"
        shown += "const done = arguments[1]; scrollTo(0, top + scrollY);"
        shown += "requestAnimationFrame(() => requestAnimationFrame(() => done()));"
        browser.execute_async_script(shown, at)
        taken = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
        return base64.b64decode(taken["data"])

    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        run, frozen = (
            fe.finetune(VECTORS, REVIEWS, strategy=strategy, epochs=6, head="bag", lr=0.01)
            for strategy in ("FullTune", "Freeze")
        )
        fe.report(run, page, dataset=REVIEWS, against=frozen)
        browser = open_browser(Path(folder) / "profile", "hide-scrollbars")
        IMAGES.mkdir(exist_ok=True)
        for name, *window in PICTURES:
            image = Image.open(io.BytesIO(picture(browser, page.as_uri(), *window)))
            image.convert("RGB").quantize(256).save(IMAGES / name, optimize=True)
            print(f"{name}: {(IMAGES / name).stat().st_size / 1000:.0f} kB")
        browser.quit()


if __name__ == "__main__":
    main()
