"""Names from files stay text in Markdown."""

from __future__ import annotations

import re

import pytest

from cnnviz.ui import terms
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


def test_the_first_occurrence_of_a_term_is_explained() -> None:
    text = terms.explained("Class activation maps, class & <b>: Filters of a filter, filtered")
    marked = re.findall(r'<abbr tabindex="0" title="([^"]+)">([^<]+)</abbr>', text)
    expected = {"Class activation maps": "class activation map", "class": "class"}
    expected |= {"Filters": "filter"}
    assert marked == [(terms.TERMS[name], seen) for seen, name in expected.items()]
    assert re.sub(r"</?abbr[^>]*>", "", text).endswith(
        "class &amp; &lt;b&gt;: Filters of a filter, filtered"
    )


def test_an_explanation_is_one_sentence() -> None:
    for name, sentence in terms.TERMS.items():
        assert re.fullmatch(r"[A-Z][^.]*\.", sentence), name
