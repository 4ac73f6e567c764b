"""Choices that are kept when the page changes, and restored from a link.

The address has priority: a link, or the browser's Back button. If it does not name a choice
(Streamlit empties it when the page changes) the last choice applies, and then the default.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import streamlit as st

from cnnviz.ui import notices

Option = TypeVar("Option")
# Characters of an unknown value that a message shows.
_LONGEST = 80
# The page of the last run.
_PAGE = "page of the choices"


def choose(
    widget: Callable[..., Any],
    label: str,
    name: str,
    options: Sequence[Option],
    default: Option,
    *,
    scope: str = "",
    if_unknown: str = "",
    **arguments: Any,
) -> Option:
    """Draws a widget for one of some options and returns the choice.

    Args:
        widget: such as ``st.selectbox``, called with a label, options and a key.
        label: the widget's label.
        name: of the parameter in the address.
        options: what can be chosen.
        default: the choice of a person who has not chosen; it is not written into the address.
        scope: separates choices of the same name, such as those for different models.
        if_unknown: what to tell, besides, a person whose link names no option.
        arguments: passed on to the widget.
    """
    by_text = {str(option): option for option in options}
    last = _last(name, scope)
    start = by_text.get(last[0], default) if last else default
    _report_unknown(label, [text for text in last or [] if text not in by_text], if_unknown)
    chosen = _draw(widget, label, name, scope, options, start, arguments)
    if chosen is None:
        chosen = default
    _store(name, scope, [str(chosen)], in_address=chosen != default)
    return chosen


def in_panel(widget: Callable[..., Any]) -> Callable[..., Any]:
    """A widget that is drawn inside a closed panel, where the browser does not have it yet.

    It is told the choice in every run: the browser would have missed the one that told it.
    """

    def draw(label: str, options: Sequence[Any], *, key: str, **arguments: Any) -> Any:
        st.session_state[key] = st.session_state[key]
        return widget(label, options, key=key, **arguments)

    return draw


def choose_many(
    label: str,
    name: str,
    options: Sequence[str],
    default: Sequence[str],
    *,
    widget: Callable[..., Any] = st.multiselect,
    scope: str = "",
    **arguments: Any,
) -> list[str]:
    """Draws a widget for several of some options and returns them, in the order they were made."""
    last = _last(name, scope)
    # A link may name one twice, or more than may be chosen.
    valid = dict.fromkeys(text for text in last or [] if text in options)
    start = list(valid)[: arguments.get("max_selections")] or default
    _report_unknown(label, [text for text in last or [] if text not in options])
    chosen = _draw(widget, label, name, scope, options, list(start), arguments)
    _store(name, scope, chosen, in_address=chosen != list(default))
    return chosen


def recall(label: str, name: str, valid: Callable[[str], bool], scope: str = "") -> str | None:
    """A choice that ``put`` makes and no widget shows: its text; None if there is none.

    Args:
        label: what it is, for a person whose link has another value.
        name: of the parameter in the address, which has the choice as long as there is one.
        valid: whether a text is such a choice.
        scope: as in ``choose``.
    """
    last = _last(name, scope)
    if last and valid(last[0]):
        _store(name, scope, last[:1], in_address=True)
        return last[0]
    _report_unknown(label, last or [])
    forget(name, scope)
    return None


def start_run(page: str) -> None:
    """Has a link's first unknown value be reported in this run, too, and a new page be told all.

    Args:
        page: the name of the page that is run.
    """
    st.session_state.pop("unknown choice reported", None)
    if st.session_state.get(_PAGE) != page:
        st.session_state[_PAGE] = page
        _drawn().clear()


def put(name: str, value: str | Sequence[str], scope: str = "") -> None:
    """Makes a choice for the person, before its widget is drawn."""
    values = [value] if isinstance(value, str) else list(value)
    _kept()[name, scope] = values
    _written()[name] = st.query_params.get_all(name)
    st.session_state.pop(_key(name, scope), None)


def kept(name: str, scope: str = "") -> list[str]:
    """The last choice as its text in the address; empty if there was none."""
    return _kept().get((name, scope), [])


def link_names(name: str) -> bool:
    """Whether the address names a choice that cnnviz did not write there itself."""
    return name in st.query_params and st.query_params.get_all(name) != _written().get(name)


def forget(name: str, scope: str = "") -> None:
    """Deletes a choice, as if it had never been made."""
    forget_address(name)
    _kept().pop((name, scope), None)
    st.session_state.pop(_key(name, scope), None)


def forget_scopes(name: str, beginning: str) -> None:
    """Deletes the choices of that name in all scopes with that beginning."""
    for one, scope in list(_kept()):
        if one == name and scope.startswith(beginning):
            forget(name, scope)


def write_address(name: str, values: list[str]) -> None:
    """Writes a choice into the address."""
    if st.query_params.get_all(name) != values:
        st.query_params[name] = values
    _written()[name] = values


def forget_address(name: str) -> None:
    """Removes a choice from the address."""
    if name in st.query_params:
        del st.query_params[name]
    _written().pop(name, None)


def _last(name: str, scope: str) -> list[str] | None:
    """The choice in the address or, if it names none, the last one that was made."""
    if link_names(name):
        st.session_state.pop(_key(name, scope), None)
        return st.query_params.get_all(name)
    return _kept().get((name, scope))


def _store(name: str, scope: str, values: list[str], *, in_address: bool) -> None:
    _kept()[name, scope] = values
    if in_address:
        write_address(name, values)
    else:
        forget_address(name)


def _draw(
    widget: Callable[..., Any],
    label: str,
    name: str,
    scope: str,
    options: Sequence[Any],
    start: Any,
    arguments: dict[str, Any],
) -> Any:
    key = _key(name, scope)
    was_new = _drawn().get(key)
    # What a widget is told in the run that leaves its page, Streamlit keeps: back on the page there
    # is a value that the browser does not know.
    is_new = was_new is None or key not in st.session_state
    # Told in a second run, too, unless the person has changed it: the browser may get the messages
    # of both runs together, of which it takes the later one.
    if is_new or (was_new and st.session_state[key] == start):
        st.session_state[key] = st.session_state.get(key, start)
    _drawn()[key] = is_new
    return widget(label, options, key=key, **arguments)


def _report_unknown(label: str, unknown: list[str], more: str = "") -> None:
    """A message about a link's first unknown value: the others may follow from it."""
    if unknown and "unknown choice reported" not in st.session_state:
        st.session_state["unknown choice reported"] = True
        value = repr(unknown[0])
        value = value if len(value) <= _LONGEST else f"{value[:_LONGEST]} …"
        notices.show(f"The link names what is not there: {label.lower()} {value}. {more}".strip())


def _key(name: str, scope: str) -> str:
    return f"choice:{name}:{scope}"


def _drawn() -> dict[str, bool]:
    """By keys of widgets, drawn since the page was opened: whether each was new the last time."""
    return st.session_state.setdefault("drawn choices", {})


def _kept() -> dict[tuple[str, str], list[str]]:
    return st.session_state.setdefault("kept choices", {})


def _written() -> dict[str, list[str]]:
    return st.session_state.setdefault("written choices", {})
