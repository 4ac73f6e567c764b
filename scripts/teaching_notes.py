"""Writes the teacher's notes of all lessons, which the page Lessons shows, too.

python -m scripts.teaching_notes > docs/teaching.md
"""

from __future__ import annotations

import typer

from cnnviz.ui.page_parts.lessons.contents import LESSONS
from cnnviz.ui.page_parts.lessons.frame import notes_text

_BEGINNING = """# Teaching with cnnviz

The page **Lessons** has {count} lessons of about {minutes} minutes in all. Each is one question
after the other: the class guesses first, and the answer is hidden until then. A link names the
lesson and the step (`/lessons?lesson=pooling&step=3`), and the guess once there is one.

- The button with a screen, at the top, presents a lesson to a class; N and B turn to the next
  question and back.
- Lessons use the network and the photo that are chosen at the top, where they can. “From maps to a
  class” needs a network that averages its last maps, such as “Cat or dog”; it says so where another
  one is chosen.
- “Start again”, at the end of a lesson, forgets its guesses.

These notes are on the page, too, behind “Teacher's notes”. They are written by
`python -m scripts.teaching_notes > docs/teaching.md`.
"""


def text() -> str:
    """The document."""
    minutes = sum(lesson.minutes for lesson in LESSONS)
    beginning = _BEGINNING.format(count=len(LESSONS), minutes=minutes)
    return "\n".join([beginning, *map(notes_text, LESSONS)])


def main() -> None:
    """Prints it."""
    typer.echo(text(), nl=False)


if __name__ == "__main__":
    main()
