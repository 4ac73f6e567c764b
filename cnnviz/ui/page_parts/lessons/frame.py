"""What all lessons are made of: one question after the other, a guess before each answer.

The lesson, the step and the guess are in the address. A guess belongs to its step and, where the
answer depends on them, to the network and the photo.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnviz.arrays import Floats
from cnnviz.numerals import number
from cnnviz.results import Box
from cnnviz.ui import choices, notices
from cnnviz.ui.components import located, step_start
from cnnviz.ui.components.located import box_in_photo
from cnnviz.ui.loaded_photo import LoadedPhoto
from cnnviz.ui.page_parts.lessons import drawings
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# The names of the parameters in the address.
_LESSON, _STEP, _GUESS = "lesson", "step", "guess"
# What a person may be off by who rounds to two decimals.
_ROUNDED = 0.0051

_NINTHS = (
    ("Top left", "Top", "Top right"),
    ("Left", "Middle", "Right"),
    ("Bottom left", "Bottom", "Bottom right"),
)

# A step draws its question and, once there is a guess, its answer. It is given the model and the
# photo, and the scope of its guess.
Step = Callable[[Scene, str], None]


@dataclass(frozen=True)
class Notes:
    """What a teacher should know of a lesson.

    Attributes:
        aim: what the class knows afterwards.
        misunderstanding: the usual one, and what helps.
        questions: two to ask afterwards.
    """

    aim: str
    misunderstanding: str
    questions: tuple[str, str]


@dataclass(frozen=True)
class Lesson:
    """A lesson.

    Attributes:
        key: its name in the address.
        title: a few words.
        lead: what it is about, in a sentence.
        minutes: how long it takes.
        steps: its questions.
        notes: for the teacher.
    """

    key: str
    title: str
    lead: str
    minutes: int
    steps: tuple[Step, ...]
    notes: Notes


@st.fragment
def draw(scene: Scene, lessons: Sequence[Lesson]) -> None:
    """The lesson that the address names, or all of them to choose from."""
    with st.container(key="lesson style"):
        st.html(f"<style>{drawings.STYLE}</style>")
    by_key = {lesson.key: lesson for lesson in lessons}
    chosen = choices.recall("Lesson", _LESSON, by_key.__contains__)
    if chosen is None:
        _overview(lessons)
        return
    lesson = by_key[chosen]
    count = len(lesson.steps)
    text = choices.recall("Step", _STEP, lambda one: _is_step(one, count), lesson.key)
    step = int(text or 1)
    step_start.mark(f"{lesson.key} {step}", "lesson step")
    with st.container(key="lesson head", horizontal=True, vertical_alignment="center"):
        st.button("All lessons", icon=":material/apps:", type="tertiary", on_click=_leave)
        st.markdown(f"**{lesson.title}** · {step} of {count}", width="content")
    st.progress(step / count)
    lesson.steps[step - 1](scene, f"{lesson.key} {step}")
    _below(lesson, step)


def scope_of(scene: Scene, scope: str) -> str:
    """The scope of a guess whose answer depends on the network and the photo.

    It is part of names in the browser, so it does not expose a path of the server.
    """
    return f"{scope} {scene.model.name} {scene.model.modified} {scene.photo.seen_key}"


def question(text: str) -> None:
    """The question of a step."""
    st.title(text, anchor=False)


def question_beside(text: str) -> tuple[DeltaGenerator, DeltaGenerator]:
    """The question of a step, and below it the places of what is seen, and of what is said."""
    question(text)
    seen, said = st.columns([3, 2], gap="large")
    return seen, said


def guess(
    place: DeltaGenerator, scope: str, options: Sequence[str], right: str, because: str
) -> bool:
    """Has a person guess one of some options; then tells them the right one, and why.

    Args:
        place: where it is drawn.
        scope: of the guess.
        options: plain text.
        right: one of them.
        because: Markdown.

    Returns:
        Whether there is a guess, and the answer may be shown.
    """
    made = _picked(place, scope, options)
    if made is None:
        return False
    told = f"You guessed **{plain(made)}**."
    if made == right:
        place.success(f"{told} That is right.", icon=":material/check:")
    else:
        place.info(f"{told} The answer is **{plain(right)}**.", icon=":material/lightbulb:")
    place.markdown(because)
    return True


def vote(place: DeltaGenerator, scope: str, options: Sequence[str], because: str) -> bool:
    """As ``guess``, of a question to which no answer is the right one."""
    made = _picked(place, scope, options)
    if made is None:
        return False
    place.info(f"You said **{plain(made)}**.", icon=":material/chat:")
    place.markdown(because)
    return True


def _picked(place: DeltaGenerator, scope: str, options: Sequence[str]) -> str | None:
    """The option that a person has picked; None, and a button for each, until there is one."""
    made = choices.recall("Guess", _GUESS, options.__contains__, scope)
    if made is None:
        with place:
            _hint()
            across = st.container(horizontal=True, key="guesses")
            for option in options:
                across.button(
                    plain(option),
                    key=f"guess {scope} {option}",
                    on_click=choices.put,
                    args=(_GUESS, option, scope),
                )
    return made


def fill_in(
    place: DeltaGenerator, scope: str, right: Floats, names: Sequence[str], because: str
) -> bool:
    """Has a person work out the numbers of a grid, and then says of each whether it is right.

    Args:
        place: where it is drawn.
        scope: of the guess.
        right: (h, w), at most two decimals each.
        names: of the cells, row by row.
        because: Markdown.

    Returns:
        Whether the grid has been filled in, and the answer may be shown.
    """
    made = choices.recall(
        "Guess", _GUESS, lambda text: _numbers(text, right.size) is not None, scope
    )
    if made is None:
        with place:
            _hint()
            _form(scope, right.shape, names)
        return False
    filled = _numbers(made, right.size)
    numbers = np.array(filled).reshape(right.shape)
    fits = np.abs(numbers - right) <= _ROUNDED
    if fits.all():
        place.success("All of them are right.", icon=":material/check:")
    else:
        place.info(f"{fits.sum()} of {right.size} are right.", icon=":material/lightbulb:")
    said = [
        [f"{number(one)} {'✓' if fit else '✗'}" for one, fit in zip(*both, strict=True)]
        for both in zip(numbers, fits, strict=True)
    ]
    place.html(drawings.row(drawings.grid(said, "Yours"), drawings.grid(right, "The right ones")))
    place.markdown(because)
    return True


def mark(scope: str, photo: LoadedPhoto) -> Box | None:
    """The box that a person has marked on a photo; None, and the photo to do it on, without one."""
    made = choices.recall("Guess", _GUESS, lambda text: _box(text, photo) is not None, scope)
    if made is not None:
        return _box(made, photo)
    empty = located.Located(photo.key, photo.shown, f"{photo.name}, to drag a box on", [], [], None)
    on_photo, in_words = st.columns([3, 2], gap="medium")
    with on_photo:
        located.show(empty, f"mark {scope}", functools.partial(put_box, scope))
        _hint()
    with in_words:
        st.markdown("Or choose a ninth of it:")
        for row, names in enumerate(_NINTHS):
            across = st.container(horizontal=True, gap="small")
            for column, name in enumerate(names):
                across.button(
                    name,
                    key=f"ninth {scope} {row} {column}",
                    on_click=put_box,
                    args=(scope, _ninth(photo, row, column)),
                    width=104,
                )
    return None


def put_box(scope: str, box: Box) -> None:
    """Makes a box the guess, before the run that shows it."""
    choices.put(_GUESS, f"{box.left},{box.top},{box.right},{box.bottom}", scope)


def _ninth(photo: LoadedPhoto, row: int, column: int) -> Box:
    across, down = ([size * part // 3 for part in range(4)] for size in (photo.width, photo.height))
    return Box(across[column], down[row], across[column + 1], down[row + 1])


def _box(text: str, photo: LoadedPhoto) -> Box | None:
    sides = _numbers(text, 4)
    if sides is None or any(side != int(side) for side in sides):
        return None
    return box_in_photo([int(side) for side in sides], *photo.size)


def _form(scope: str, shape: tuple[int, ...], names: Sequence[str]) -> None:
    """A field for each cell of a grid, and a button that checks all."""
    keys = [f"cell {scope} {at}" for at in range(len(names))]
    with st.form(f"grid {scope}", border=False, width=360):
        for at in range(shape[0]):
            across = st.container(horizontal=True)
            for key, name in list(zip(keys, names, strict=True))[at * shape[1] :][: shape[1]]:
                across.number_input(
                    name, value=None, key=key, placeholder="?", step=0.01, width=150
                )
        st.form_submit_button("Check", type="primary", on_click=_take, args=(scope, keys))


def _take(scope: str, keys: Sequence[str]) -> None:
    values = [st.session_state[key] for key in keys]
    if None in values:
        notices.show("Fill in all of the fields, then check.")
    else:
        choices.put(_GUESS, ",".join(f"{value:g}" for value in values), scope)


def _numbers(text: str, count: int) -> list[float] | None:
    """The numbers of a guess; None if it is none."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        return None
    return values if len(values) == count and np.isfinite(values).all() else None


def _hint() -> None:
    st.caption("Guess first. The answer comes after it.")


def _is_step(text: str, count: int) -> bool:
    return text in {str(number) for number in range(1, count + 1)}


def _overview(lessons: Sequence[Lesson]) -> None:
    """All lessons, to choose from."""
    st.title("What do you want to find out?", anchor=False)
    st.html(
        '<p class="lead">Each lesson is one question after the other. Guess first, then look, then '
        "read why.</p>"
    )
    columns = st.columns(2, gap="medium")
    for at, lesson in enumerate(lessons):
        with columns[at // ((len(lessons) + 1) // 2)].container(border=True, gap="xxsmall"):
            st.button(
                f"{at + 1} · {lesson.title}",
                key=f"open {lesson.key}",
                type="tertiary",
                on_click=choices.put,
                args=(_LESSON, lesson.key),
            )
            st.caption(f"{lesson.lead} {len(lesson.steps)} questions, {lesson.minutes} minutes.")
    if st.toggle("Teacher's notes", key="teachers notes"):
        for lesson in lessons:
            st.markdown(notes_text(lesson))


def _below(lesson: Lesson, step: int) -> None:
    """The way back and on, which stays in sight, and the teacher's notes."""
    last = step == len(lesson.steps)
    with st.container(key="lesson steps", horizontal=True):
        st.button(
            "Back",
            icon=":material/arrow_back:",
            disabled=step == 1,
            shortcut="B",
            on_click=_turn,
            args=(lesson, step - 1),
        )
        st.button(
            "Start again" if last else "Next",
            key="Next",
            icon=":material/replay:" if last else ":material/arrow_forward:",
            type="primary",
            shortcut="N",
            on_click=_again if last else _turn,
            args=(lesson,) if last else (lesson, step + 1),
        )
    if st.toggle("Teacher's notes", key="teachers notes"):
        st.markdown(notes_text(lesson))


def notes_text(lesson: Lesson) -> str:
    """The teacher's notes of a lesson as Markdown; ``docs/teaching.md`` has those of all."""
    notes = lesson.notes
    return (
        f"## {lesson.title}\n\n"
        f"**Aim.** {notes.aim}\n\n"
        f"**Time.** {lesson.minutes} minutes, {len(lesson.steps)} questions.\n\n"
        f"**The usual misunderstanding.** {notes.misunderstanding}\n\n"
        f"**To ask afterwards.**\n\n1. {notes.questions[0]}\n2. {notes.questions[1]}\n"
    )


def _turn(lesson: Lesson, step: int) -> None:
    choices.put(_STEP, str(step), lesson.key)


def _leave() -> None:
    choices.forget(_LESSON)
    choices.forget_address(_STEP)
    choices.forget_address(_GUESS)


def _again(lesson: Lesson) -> None:
    """Begins a lesson anew, without any guess."""
    choices.forget_scopes(_GUESS, f"{lesson.key} ")
    _turn(lesson, 1)
