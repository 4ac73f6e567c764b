"""Choices that outlive a change of page, and that a link brings back.

The address bar is the first word: a link, or the browser's way back. Where it says nothing
(Streamlit empties it when the page changes) the last choice counts, and then the default.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import streamlit as st

from cnnviz.ui.text import plain

Option = TypeVar("Option")


def choose(
    widget: Callable[..., Any],
    label: str,
    name: str,
    options: Sequence[Option],
    default: Option,
    *,
    scope: str = "",
    address: Callable[[Option], str] = str,
    **look: Any,
) -> Option:
    """Draws a widget for one of some options and returns the choice.

    Args:
        widget: such as ``st.selectbox``, called with a label, options and a key.
        label: what a person reads.
        name: what the address bar shows.
        options: what can be chosen.
        default: the choice of a person who has not chosen; it does not stand in the address.
        scope: whose choice it is, such as a model's name: another one has its own.
        address: how an option is written in the address bar.
        look: passed on to the widget.
    """
    named = {address(option): option for option in options}
    found = _recall(name, scope)
    start = named.get(found[0], default) if found else default
    _tell_unknown(label, [text for text in found or [] if text not in named])
    chosen = _draw(widget, label, name, scope, options, start, look)
    if chosen is None:
        chosen = default
    _remember(name, scope, [address(chosen)], standing=chosen != default)
    return chosen


def choose_many(
    label: str,
    name: str,
    options: Sequence[str],
    default: Sequence[str],
    *,
    scope: str = "",
    **look: Any,
) -> list[str]:
    """Draws a multiselect and returns the choices, in the order they were made."""
    found = _recall(name, scope)
    # A link may name one twice, or more than may be chosen.
    known = dict.fromkeys(text for text in found or [] if text in options)
    start = list(known)[: look.get("max_selections")] or default
    _tell_unknown(label, [text for text in found or [] if text not in options])
    chosen = _draw(st.multiselect, label, name, scope, options, list(start), look)
    _remember(name, scope, chosen, standing=chosen != list(default))
    return chosen


def put(name: str, value: str | Sequence[str], scope: str = "") -> None:
    """Makes a choice for the person, before its widget is drawn."""
    values = [value] if isinstance(value, str) else list(value)
    _kept()[name, scope] = values
    _written()[name] = st.query_params.get_all(name)
    st.session_state.pop(_key(name, scope), None)


def kept(name: str, scope: str = "") -> list[str]:
    """The last choice, as it is written in the address bar; empty if there was none."""
    return _kept().get((name, scope), [])


def is_made(name: str, scope: str = "") -> bool:
    """Whether a person, or a link, has made this choice."""
    return name in st.query_params or (name, scope) in _kept()


def link_names(name: str) -> bool:
    """Whether the address bar speaks of a choice that cnnviz did not write there itself."""
    return name in st.query_params and st.query_params.get_all(name) != _written().get(name)


def forget(name: str, scope: str = "") -> None:
    """Takes a choice back, as if it had never been made."""
    forget_address(name)
    _kept().pop((name, scope), None)
    st.session_state.pop(_key(name, scope), None)


def forget_address(name: str) -> None:
    """Takes a choice out of the address bar."""
    if name in st.query_params:
        del st.query_params[name]
    _written().pop(name, None)


def _recall(name: str, scope: str) -> list[str] | None:
    """What the address bar or, where it is silent, the last visit says."""
    if link_names(name):
        st.session_state.pop(_key(name, scope), None)
        return st.query_params.get_all(name)
    return _kept().get((name, scope))


def _remember(name: str, scope: str, values: list[str], *, standing: bool) -> None:
    _kept()[name, scope] = values
    if not standing:
        forget_address(name)
        return
    if st.query_params.get_all(name) != values:
        st.query_params[name] = values
    _written()[name] = values


def _draw(
    widget: Callable[..., Any],
    label: str,
    name: str,
    scope: str,
    options: Sequence[Any],
    start: Any,
    look: dict[str, Any],
) -> Any:
    key = _key(name, scope)
    if key not in st.session_state:
        st.session_state[key] = start
    return widget(label, options, key=key, **look)


def _tell_unknown(label: str, unknown: list[str]) -> None:
    if unknown and "told" not in st.session_state:
        st.session_state["told"] = True
        st.toast(plain(f"The link names a {label.lower()} that is not there: {unknown[0]!r}."))


def _key(name: str, scope: str) -> str:
    return f"choice:{name}:{scope}"


def _kept() -> dict[tuple[str, str], list[str]]:
    return st.session_state.setdefault("kept choices", {})


def _written() -> dict[str, list[str]]:
    return st.session_state.setdefault("written choices", {})
