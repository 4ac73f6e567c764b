"""Makes pictures of the running app.

    python -m scripts.screenshots               those of the README, with the moving one
    python -m scripts.screenshots --all FOLDER  each page in each window and theme, to look at

Of a page that is longer than its window ``--all`` takes the screens one after another.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Error, Page

from cnnviz.settings import ROOT
from scripts.browse import chromium, running_app, settle
from scripts.moving_picture import film

FOLDER = ROOT / "docs" / "images"
LARGEST = 600_000
CAT = "model=cat_dog&sample=chelsea"
DIGIT = "model=mnist_cnn&sample=digit-7"
IMAGENET = "model=imagenet_efficientnet_lite0&sample=chelsea"
_TRAINED = "It is in the sidebar"
_MOST_SCREENS = 4


def click(selector: str) -> Callable[[Page], None]:
    """Clicks in the middle of the first of such elements."""
    return lambda page: page.locator(selector).first.click()


def _arithmetic(page: Page) -> None:
    """Clicks on a cell of the wall's third column."""
    grid = page.locator(".walk .area [role=grid]").nth(2)
    box = grid.bounding_box()
    assert box is not None
    grid.click(position={"x": 0.31 * box["width"], "y": 0.37 * box["height"]})
    page.locator(".walk .f-arithmetic").wait_for()


def _stage(page: Page) -> None:
    """Opens the channels of the last layer."""
    page.locator(".walk .node .name[title^='All channels']").last.click()
    page.locator(".walk .f-channels canvas").first.wait_for()


def _channel(page: Page) -> None:
    """Opens a channel of the third stage."""
    page.locator(".walk .node .name[title^='All channels']").nth(2).click()
    grid = page.locator(".walk .f-channels [role=grid]")
    grid.click(position={"x": 60, "y": 60})
    page.locator(".walk .f-channel").wait_for()


def _live(page: Page) -> None:
    """Turns the camera on."""
    page.locator(".walk button.live").click()
    page.locator(".live .chip").first.wait_for()


def _before_after(page: Page) -> None:
    """Waits until all epochs are there, and shows the first and the last one."""
    page.wait_for_function("() => !document.querySelector('[data-testid=stProgress]')")
    page.locator(".epochs .modes button").last.click()
    page.locator(".epochs .caption").evaluate("text => text.scrollIntoView({block: 'center'})")


def _own_model(page: Page) -> None:
    """Uploads a model without its card."""
    page.locator(".topbar .model, .topbar .menu >> visible=true").first.click()
    own = page.locator(".st-key-own-model")
    own.locator("summary").click()
    own.locator("input[type=file]").set_input_files(ROOT / "models" / "mnist_cnn.keras")
    page.get_by_text("Name your classes").first.wait_for()


@dataclass(frozen=True)
class Shot:
    """One picture: its name, its address in the app, its window, and what is done there first."""

    name: str
    address: str
    act: Callable[[Page], None] | None = None
    theme: Literal["light", "dark"] = "light"
    width: int = 1280
    height: int = 720
    # What is to be seen when the page is complete.
    complete: str = "text=About this network"


WALK = Shot("walk", f"?{CAT}", complete=".walk[data-painted]")
SHOTS = (
    WALK,
    replace(WALK, name="arithmetic", act=_arithmetic),
    replace(WALK, name="compare", act=click(".walk .compare")),
    replace(WALK, name="dark", theme="dark"),
    Shot("filters", f"filters?{IMAGENET}&filter=13"),
    Shot("activations", f"activations?{CAT}"),
    Shot("class_activation_map", f"class_activation_map?{CAT}", height=980),
    Shot("network", f"network?{CAT}"),
    Shot("training", "training", height=1500, complete=f"text={_TRAINED}"),
    Shot("training_replay", "training?show=replay", act=_before_after, complete=".epochs .play"),
)
# What only `--all` has.
STATES = (
    *(
        Shot(path.stem, f"{path.stem}?{CAT}")
        for path in sorted((ROOT / "pages").glob("*.py"))
        if path.stem not in {"explore", *(shot.name for shot in SHOTS)}
    ),
    replace(WALK, name="walk_digit", address=f"?{DIGIT}"),
    replace(WALK, name="walk_imagenet", address=f"?{IMAGENET}"),
    replace(WALK, name="stage", address=f"?{IMAGENET}", act=_stage),
    replace(WALK, name="channel", act=_channel),
    replace(WALK, name="live", act=_live),
    replace(WALK, name="sidebar", act=click(".topbar .model, .topbar .menu >> visible=true")),
    Shot("activations_all", f"activations?{IMAGENET}&layer=top_act"),
    Shot("network_digit", f"network?{DIGIT}"),
    Shot("own_model", f"class_activation_map?{DIGIT}", act=_own_model),
)
WINDOWS = ((390, 844), (1280, 720), (1920, 1080))
PRESENTED = ((1280, 720), (1440, 900))


def open_page(browser: Browser, url: str, shot: Shot) -> Page:
    """The page of a shot in a new browser profile, complete; its context is to be closed."""
    phone = shot.width < 640
    context = browser.new_context(
        viewport={"width": shot.width, "height": shot.height},
        color_scheme=shot.theme,
        has_touch=phone,
        is_mobile=phone,
        device_scale_factor=2 if phone else 1,
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{url}/{shot.address}")
    page.locator(shot.complete).first.wait_for()
    settle(page)
    if shot.act:
        shot.act(page)
        settle(page)
    # Fading maps, and the sidebar that slides.
    page.wait_for_timeout(700)
    return page


def picture_of(page: Page) -> Image.Image:
    """What the window shows."""
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def screens(page: Page) -> Iterator[Image.Image]:
    """What the window shows, and then what it shows further down."""
    main = page.get_by_test_id("stMain")
    for _ in range(_MOST_SCREENS):
        yield picture_of(page)
        before = main.evaluate("main => main.scrollTop")
        # A little twice, so that nothing is lost between two screens.
        main.evaluate("main => main.scrollBy({top: 0.85 * innerHeight, behavior: 'instant'})")
        page.wait_for_timeout(300)
        if main.evaluate("main => main.scrollTop") - before < 20:
            return


def save(picture: Image.Image, name: str) -> int:
    """Writes a picture as a PNG, with as many colours as the size allows; returns its bytes.

    Raises:
        RuntimeError: it is too large even with 4 bits a colour.
    """
    for bits in (8, 7, 6, 5, 4):
        levels = 2**bits - 1
        table = [round(round(value / 255 * levels) / levels * 255) for value in range(256)]
        data = io.BytesIO()
        picture.point(table * 3).save(data, "PNG", optimize=True)
        if data.tell() <= LARGEST:
            (FOLDER / f"{name}.png").write_bytes(data.getvalue())
            return data.tell()
    raise RuntimeError(f"{name}.png has more than {LARGEST} bytes, even with 4 bits a colour.")


def train(browser: Browser, url: str) -> None:
    """Trains a network on the digits, by the page."""
    page = browser.new_page()
    page.set_default_timeout(600_000)
    page.goto(f"{url}/training")
    page.get_by_role("button", name="Start").click()
    page.get_by_text(_TRAINED).wait_for()
    page.close()


def for_readme(browser: Browser, url: str) -> None:
    """Takes the README's pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for shot in SHOTS:
        page = open_page(browser, url, shot)
        size = save(picture_of(page), shot.name)
        page.context.close()
        print(f"{shot.name}.png: {size / 1000:.0f} kB", flush=True)
    size = film(browser, f"{url}/{WALK.address}", FOLDER / "walk.webp")
    print(f"walk.webp: {size / 1000:.0f} kB")


def every_shot() -> Iterator[Shot]:
    """Each page and state in each window and theme, and presented."""
    for shot in (*SHOTS, *STATES):
        if shot.name == "dark":
            continue
        for width, height in WINDOWS:
            for theme in ("light", "dark"):
                name = f"{shot.name}-{width}-{theme}"
                yield replace(shot, name=name, width=width, height=height, theme=theme)
        # Presented, there are no buttons to compare classes or to open the sidebar.
        if shot.act in (None, _arithmetic, _stage):
            address = f"{shot.address}{'&' if '?' in shot.address else '?'}present=1"
            for width, height in PRESENTED:
                name = f"{shot.name}-present-{width}"
                yield replace(shot, name=name, address=address, width=width, height=height)


def take_all(browser: Browser, url: str, folder: Path, shots: Iterator[Shot]) -> None:
    """Takes pictures to look at; one that fails is named, and does not stop the others."""
    folder.mkdir(parents=True, exist_ok=True)
    for shot in shots:
        for context in browser.contexts:
            context.close()
        try:
            page = open_page(browser, url, shot)
        except Error as error:
            print(f"{shot.name}: {error.message.splitlines()[0]}", flush=True)
            continue
        for number, picture in enumerate(screens(page), start=1):
            picture.save(folder / f"{shot.name}-{number}.png")


def main() -> None:
    """Takes all pictures."""
    parser = argparse.ArgumentParser(description="Make pictures of the running app.")
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="each page, window and theme")
    folder = parser.parse_args().all
    with running_app() as server, chromium() as browser:
        train(browser, server.url)
        if folder is None:
            for_readme(browser, server.url)
        else:
            take_all(browser, server.url, folder, every_shot())


if __name__ == "__main__":
    main()
