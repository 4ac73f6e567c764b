"""Names from files stay text in Markdown."""

from __future__ import annotations

import pytest

from cnnviz.ui.text import plain


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat", "cat"),
        ("conv2d_1", r"conv2d\_1"),
        ("block1/conv-2", r"block1/conv\-2"),
        ("<b> & [x](y)", r"\<b\> \& \[x\]\(y\)"),
        (":smile:", r"\::small[]smile\:"),
        (":material_home:", r"\::small[]material\_home\:"),
        (":material/home:", r"\::small[]material/home\:"),
        ("https://x", r"https\::small[]//x"),
        ("WWW.x", r"WWW:small[]\.x"),
        ("a@x", r"a:small[]\@x"),
        ("a -> b", r"a \-:small[]\> b"),
        ("photos.zip has no classes: –", r"photos\.zip has no classes\: –"),
        ("    code", "code"),
    ],
)
def test_markup_is_escaped_and_what_streamlit_finds_without_escapes_divided(
    name: str, expected: str
) -> None:
    assert plain(name) == expected
