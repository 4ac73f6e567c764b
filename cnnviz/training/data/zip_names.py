"""The names in a zip file: with slashes, and decoded from the code page that they are in.

Zips that say so have names in UTF-8. Others have them in the code page of the computer that wrote
them, and do not say which: it is guessed from what the names would be in each.
"""

from __future__ import annotations

import functools
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

# Bit 11 of a member's flags: its name is in UTF-8.
_UTF_8 = 0x800
# Info-ZIP's field for the name in UTF-8: version, CRC-32 of the name in the header, name.
_UNICODE_PATH = 0x7075
_FIELD = struct.Struct("<HH")
_PATH_HEAD = struct.Struct("<BL")

# Names from which the code page is guessed, at most.
_SAMPLE = 300
# The most frequent syllables of Korean; most of the 2,350 others are rare.
_KOREAN = frozenset(
    "가각간감강개거건것게견경계고곡공과관광교구국군권그금기길김나남내너네노녀년농누눈는능니다단달담당대더도독동되된두"
    "드든들등디라람랑래량러레력로록론료루류르른를름리린림마만말망매머면명모목무문물미민바박반발방배백버번벌법벨변별병보복"
    "본부북분불비빈사산살상새색생서석선설성세소속손송수술숭스습승시식신실심쌍아안앞애야약양어언업없에여역연열영예오온올와완"
    "왕외요용우운울원월위유육으은을음의이인일임입있자작잔장재저적전절점정제조족종좌주준중즈지직진질집차참창채책처천철첫청체초"
    "촌총최추출충치카커컴코쿠크타탄태터테토통투트특파판팔패편평포표품풍프피필하학한할함합해행향허현형호혼화확환활황회효후훈휴"
    "흐희히끼꽃따떡빵뱀닭"
)
_RARE_CYRILLIC = frozenset("ёъщэфцюъ")
_NEVER_FIRST = frozenset("ъыьЪЫЬ")


class CodePage(NamedTuple):
    """A code page: Python's name of it, its title, and how odd a letter of it is, 0 to 3."""

    codec: str
    title: str
    oddness: Callable[[str], float]


def read_names(members: Sequence[zipfile.ZipInfo]) -> tuple[list[str], CodePage | None]:
    """The names of members, and the code page that was guessed, None where nothing was.

    Backslashes, which some programs write on Windows, are slashes in these names.
    """
    names = [_unicode_name(member) for member in members]
    raw = tuple(
        b"" if name is not None else _bytes_of(member)
        for name, member in zip(names, members, strict=True)
    )
    page = _guess(raw)
    codec = "utf-8" if page is None else page.codec
    decoded = [
        raw_name.decode(codec) if name is None else name
        for name, raw_name in zip(names, raw, strict=True)
    ]
    # Only now: in Japanese code pages the byte of a backslash is also half of a letter.
    return [name.replace("\\", "/") for name in decoded], page


def _bytes_of(member: zipfile.ZipInfo) -> bytes:
    """The name as it is in the file, up to a zero byte; `zipfile` has decoded it as CP437."""
    return member.orig_filename.encode("cp437").partition(b"\0")[0]


def _unicode_name(member: zipfile.ZipInfo) -> str | None:
    """The name where the zip has it in Unicode."""
    if member.flag_bits & _UTF_8:
        return member.orig_filename.partition("\0")[0]
    extra, at = member.extra, 0
    while at + _FIELD.size <= len(extra):
        kind, size = _FIELD.unpack_from(extra, at)
        content = extra[at + _FIELD.size : at + _FIELD.size + size]
        at += _FIELD.size + size
        if kind != _UNICODE_PATH or len(content) < _PATH_HEAD.size:
            continue
        version, checksum = _PATH_HEAD.unpack_from(content)
        # Another checksum means that the name was changed later, without this field.
        if version == 1 and checksum == zlib.crc32(_bytes_of(member)):
            return content[_PATH_HEAD.size :].decode("utf-8")
    return None


# A process asks for the same zip again and again.
@functools.lru_cache(maxsize=1)
def _guess(names: tuple[bytes, ...]) -> CodePage | None:
    """The code page in which the names are the least odd; None for UTF-8 and for ASCII."""
    foreign = sorted({name for name in names if not name.isascii()})
    if _decode_all(foreign, "utf-8") is not None:
        return None
    step = -(-len(foreign) // _SAMPLE)
    costs = {}
    for page in _PAGES:
        decoded = _decode_all(foreign, page.codec)
        if decoded is not None:
            costs[page] = sum(_oddness(name, page) for name in decoded[::step])
    return min(costs, key=costs.__getitem__)


def _decode_all(names: Sequence[bytes], codec: str) -> list[str] | None:
    try:
        return [name.decode(codec) for name in names]
    except UnicodeDecodeError:
        return None


def _oddness(name: str, page: CodePage) -> float:
    """How odd a name is as text: 0 for one that could well be."""
    letters = sum(page.oddness(letter) for letter in name if not letter.isascii())
    # A program writes slashes or backslashes, not both, and no folder without a name.
    mixed, doubled = "/" in name and "\\" in name, "\\\\" in name
    letters += 1.5 * (mixed + doubled)
    # The end of a folder's name counts as the end of a word.
    return letters + sum(_odd_pair(before, after) for before, after in pairwise(f" {name} "))


def _odd_pair(before: str, after: str) -> float:
    """How odd it is that two letters are neighbours, in alphabets."""
    if before.isascii() and after.isascii():
        return 0
    if not before.isalpha() and after in _NEVER_FIRST:
        return 2
    if not (before.isalpha() and after.isalpha()) or before > "\u1fff" or after > "\u1fff":
        return 0
    odd = 0.0
    if before.islower() and after.isupper():
        odd += 1.5
    if _is_cyrillic(before) != _is_cyrillic(after):
        odd += 2
    elif not (_is_cyrillic(before) or before.isascii() or after.isascii() or after == "ß"):
        # Accents hardly ever follow one another.
        odd += 1
    return odd


def _is_cyrillic(letter: str) -> bool:
    return "\u0400" <= letter <= "\u04ff"


def _western(letter: str) -> float:
    return 0.1 if letter.isalpha() and letter < "\u0180" and letter not in "ªº" else 2.5


def _russian(letter: str) -> float:
    if not ("а" <= letter.lower() <= "я" or letter in "ёЁ"):
        return 2.5
    return 0.75 if letter.lower() in _RARE_CYRILLIC else 0.25


def _japanese(letter: str) -> float:
    if "\u3041" <= letter <= "\u30fe":
        return 0.1
    if "\uff61" <= letter <= "\uff9f":
        return 1
    code = letter.encode("cp932")
    if b"\x88\x9f" <= code <= b"\x98\x72":
        return 0.4
    return 1.5 if letter.isalpha() else 2


def _chinese(letter: str) -> float:
    code = letter.encode("gbk")
    if b"\xb0\xa1" <= code <= b"\xd7\xf9" and code[1] > 0xA0:
        return 0.4
    if b"\xd8\xa1" <= code <= b"\xf7\xfe" and code[1] > 0xA0:
        return 1
    return 2


def _traditional_chinese(letter: str) -> float:
    if b"\xa4\x40" <= letter.encode("cp950") <= b"\xc6\x7e":
        return 0.4
    return 1.5 if letter.isalpha() else 2


def _korean(letter: str) -> float:
    if letter in _KOREAN:
        return 0.2
    code = letter.encode("cp949")
    return 1 if b"\xb0\xa1" <= code <= b"\xc8\xfe" and code[1] > 0xA0 else 2


# Of several that are equally likely the first one is taken.
_PAGES = (
    CodePage("cp437", "Western European, DOS", _western),
    CodePage("cp850", "Western European, DOS", _western),
    CodePage("cp1252", "Western European, Windows", _western),
    CodePage("cp866", "Russian, DOS", _russian),
    CodePage("cp1251", "Russian, Windows", _russian),
    CodePage("gbk", "simplified Chinese", _chinese),
    CodePage("cp932", "Japanese: Shift-JIS", _japanese),
    CodePage("cp949", "Korean", _korean),
    CodePage("cp950", "traditional Chinese: Big5", _traditional_chinese),
)
