"""How numbers are written: on pages, in pictures and on the command line."""

from __future__ import annotations


def written(value: float, form: str) -> str:
    """A number in one of Python's formats, with a minus as wide as a plus, and a space before "%".

    Example:
        >>> written(-0.25, ".0%"), written(-1e-7, "+.3g")
        ('−25 %', '−1e−07')
    """
    return f"{value:{form}}".replace("-", "−").replace("%", " %")


def number(value: float) -> str:
    """A number of three digits, or a whole one from 1,000 to a million.

    Example:
        >>> number(-0.12345), number(12345.6), number(1.5e7)
        ('−0.123', '12,346', '1.5e+07')
    """
    return written(value, ",.0f" if 1000 <= abs(value) < 1e6 else ".3g")


def signed(value: float) -> str:
    """``number`` with its sign; zero has none."""
    return f"+{number(value)}" if value > 0 else number(value)


def percent(share: float) -> str:
    """A probability as text, never rounded to 0 or 1: "> 99.9 %", "< 0.1 %"."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if share >= 0.9995:
        return "> 99.9 %"
    return written(share, ".1%")


def exact_percent(share: float) -> str:
    """A probability with more digits where it is near 0 or 1, and never rounded to these.

    A share of exactly 0 or 1 is what float32 has rounded to it.
    """
    if share < 5e-5:
        return "< 0.01 %"
    if share >= 0.99995:
        return "> 99.99 %"
    return written(share, ".2%" if share > 0.99 or share < 0.01 else ".1%")
