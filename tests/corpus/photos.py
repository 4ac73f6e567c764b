"""Odd and bad photos, each harmless, each with the expected pixels or the expected refusal.

`python -m tests.corpus.photos FOLDER` writes them all; `… --table` prints the result for each, as
listed in `docs/tables/photos.md`. Expected pixels are worked out by hand or with NumPy, never with
cnnviz.
"""

from __future__ import annotations

import io
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()

ORIENTATION, GPS = 0x0112, 0x8825
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@dataclass(frozen=True)
class Case:
    """A file and the expected result.

    Attributes:
        name: also the name of the file.
        what: in words, for the table.
        make: gives the bytes.
        expected: the code of the refusal, or the pixels (H, W, 3).
        tolerance: how far a pixel may be from the expected one: lossy formats are not exact.
    """

    name: str
    what: str
    make: Callable[[], bytes]
    expected: str | np.ndarray
    tolerance: int = 0


CASES: list[Case] = []


def random_photo() -> np.ndarray:
    """A photo (40, 60, 3) with some of every colour, the same in every call; read-only."""
    pixels = np.random.default_rng(3).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    pixels.setflags(write=False)
    return pixels


def case(
    name: str, what: str, make: Callable[[], bytes] | bytes, expected: Any, tolerance: int = 0
) -> None:
    result = expected if isinstance(expected, str) else np.asarray(expected)
    function = (lambda: make) if isinstance(make, bytes) else make
    CASES.append(Case(name, what, function, result, tolerance))


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int) -> bytes:
    """Metadata of a phone: how it was held, and where."""
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    tags.get_ifd(GPS)[2] = (52.0, 31.0, 12.0)
    return tags.tobytes()


def grey(rows: Any) -> np.ndarray:
    return np.repeat(np.asarray(rows)[..., None], 3, axis=-1)


# --- Pictures that the cases share ----------------------------------------------------------

# One corner is white, so that a picture that is mirrored or turned shows it.
CORNER = np.zeros((64, 96, 3), np.uint8)
CORNER[:32, :32] = 255
FLAT = np.full((16, 24, 3), (200, 60, 20), np.uint8)
FOUR = np.array([[RED, GREEN], [BLUE, WHITE]], np.uint8)


def of(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels)


def jpeg(pixels: np.ndarray = FLAT, **options: Any) -> bytes:
    return encode(of(pixels), "JPEG", **({"quality": 95, "subsampling": 0} | options))


# --- Written by hand ------------------------------------------------------------------------


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(
    width: int,
    height: int,
    bits: int,
    colour: int,
    rows: list[bytes],
    extra: bytes = b"",
    interlaced: int = 0,
) -> bytes:
    """A PNG with these packed rows: colour 0 is grey, 2 RGB, 3 palette, 4 and 6 with alpha."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    body = chunk(b"IHDR", header) + extra + (chunk(b"IDAT", pixels) if rows else b"")
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def tiff(tags: dict[int, Any], data: bytes, order: str = "<") -> bytes:
    """A TIFF of one strip of data, with these tags: a number is a LONG, a list SHORTs."""
    entries = {
        256: 2,
        257: 1,
        258: [8],
        259: 1,
        262: 1,
        273: 8,
        277: 1,
        278: 1,
        279: len(data),
    } | tags
    magic = b"II*\0" if order == "<" else b"MM\0*"
    listed = []
    far = b""
    start = 8 + len(data)
    for tag, value in sorted(entries.items()):
        if isinstance(value, list):
            packed = struct.pack(f"{order}{len(value)}H", *value)
            if len(packed) > 4:
                offset = start + 2 + 12 * len(entries) + 4 + len(far)
                far += packed
                packed = struct.pack(f"{order}I", offset)
            listed.append(struct.pack(f"{order}HHI", tag, 3, len(value)) + packed.ljust(4, b"\0"))
        elif isinstance(value, tuple):
            listed.append(struct.pack(f"{order}HHII", tag, 4, *value))
        else:
            listed.append(struct.pack(f"{order}HHII", tag, 4, 1, value))
    directory = struct.pack(f"{order}H", len(listed)) + b"".join(listed) + b"\0" * 4
    return magic + struct.pack(f"{order}I", start) + data + directory + far


def bmp(
    width: int, height: int, bits: int, data: bytes, compression: int = 0, palette: bytes = b""
) -> bytes:
    start = 54 + len(palette)
    head = struct.pack("<IHHI", start + len(data), 0, 0, start)
    about = struct.pack(
        "<IiiHHIIiiII",
        40,
        width,
        height,
        1,
        bits,
        compression,
        len(data),
        0,
        0,
        len(palette) // 4,
        0,
    )
    return b"BM" + head + about + palette + data


def gif(screen: tuple[int, int], frame: tuple[int, int, int, int], extra: bytes = b"") -> bytes:
    """A GIF whose one frame (left, top, width, height) is all of colour 1, red."""
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes([0, 0, 255, *RED])
    # Clear, then one literal 1 for every pixel, with a clear before the codes grow: 3 bits each.
    codes = [code for _ in range(frame[2] * frame[3]) for code in (4, 1)] + [5]
    bits = sum(code << (3 * index) for index, code in enumerate(codes))
    packed = bits.to_bytes((3 * len(codes) + 7) // 8, "little")
    blocks = b"".join(
        bytes([len(packed[i : i + 255])]) + packed[i : i + 255] for i in range(0, len(packed), 255)
    )
    return head + extra + b"," + struct.pack("<HHHHB", *frame, 0) + b"\x02" + blocks + b"\0;"


def scans(count: int) -> bytes:
    """A progressive JPEG that repeats its last scan until it has this many."""
    data = jpeg(progressive=True)
    last, end = data.rindex(b"\xff\xda"), len(data) - 2
    return data[:end] + data[last:end] * (count - data.count(b"\xff\xda")) + data[end:]


def claiming(data: bytes, box: bytes, width: int, height: int, skip: int = 4) -> bytes:
    """The file with another size written behind the name of a box."""
    offset = data.index(box) + len(box) + skip
    return data[:offset] + struct.pack(">II", width, height) + data[offset + 8 :]


def jpeg_claiming(width: int, height: int) -> bytes:
    data = jpeg()
    offset = data.index(b"\xff\xc0") + 5
    return data[:offset] + struct.pack(">HH", height, width) + data[offset + 4 :]


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


# --- JPEG -----------------------------------------------------------------------------------

case("grey.jpg", "JPEG, grey", lambda: jpeg(FLAT[..., 0]), grey(FLAT[..., 0]), 1)
case("progressive.jpg", "JPEG, progressive", lambda: jpeg(progressive=True), FLAT, 3)
case("scans-64.jpg", "JPEG of 64 scans", lambda: scans(64), FLAT, 3)
case("scans-65.jpg", "JPEG of 65 scans", lambda: scans(65), "scans")


def _cmyk() -> bytes:
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[:] = (0, 255, 255, 0)
    return encode(Image.fromarray(inks, "CMYK"), "JPEG", quality=95)


case("cmyk.jpg", "JPEG, CMYK", _cmyk, np.full((16, 16, 3), RED), 6)
TURNED = CORNER[::-1].swapaxes(0, 1)
case("phone.jpg", "JPEG, held upright, with GPS", lambda: jpeg(CORNER, exif=exif(6)), TURNED, 12)
case(
    "phone-bad-exif.jpg",
    "JPEG, metadata damaged",
    lambda: jpeg(CORNER, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09\xff"),
    CORNER,
    12,
)
case(
    "orientation-9.jpg",
    "JPEG, orientation that does not exist",
    lambda: jpeg(CORNER, exif=exif(9)),
    CORNER,
    12,
)
# The bytes of a video hold what would be a hundred scans.
case("motion.jpg", "JPEG with a video behind it", lambda: jpeg() + b"\xff\xda\0\x08" * 100, FLAT, 3)
case(
    "thumbnails.jpg",
    "JPEG with pictures in its metadata",
    lambda: jpeg(exif=b"Exif\0\0" + b"\xff\xda\0\x08" * 100),
    FLAT,
    3,
)
case(
    "two-pictures.jpg",
    "JPEG of two pictures (MPO)",
    lambda: encode(of(FLAT), "MPO", save_all=True, append_images=[of(FLAT[::-1] // 2)], quality=95),
    FLAT,
    8,
)
case(
    "junk-between.jpg",
    "JPEG, a few stray bytes between its segments",
    lambda: jpeg()[:2] + b"\xff" * 9 + jpeg()[2:],
    FLAT,
    3,
)
case(
    "fill.jpg",
    "JPEG of 300,000 fill bytes",
    lambda: jpeg()[:2] + b"\xff" * 300_000 + jpeg()[2:],
    "parts",
)
case(
    "segments.jpg",
    "JPEG of 30,000 empty comments",
    lambda: jpeg()[:2] + b"\xff\xfe\0\x02" * 30_000 + jpeg()[2:],
    "parts",
)
case("half.jpg", "JPEG, second half missing", lambda: cut(jpeg(CORNER), 0.8), "damaged")
case("head.jpg", "JPEG, only its first bytes", lambda: jpeg()[:30], "damaged")
case("huge.jpg", "JPEG that claims 65,000 × 65,000", lambda: jpeg_claiming(65000, 65000), "pixels")
case("zero.jpg", "JPEG of no width", lambda: jpeg_claiming(0, 16), "kind")
case(
    "no-tables.jpg",
    "JPEG without its tables",
    lambda: jpeg().replace(b"\xff\xdb", b"\xff\xe5"),
    "damaged",
)

# --- PNG ------------------------------------------------------------------------------------

case("1-bit.png", "PNG, 1 bit", png(4, 1, 1, 0, [b"\x50"]), grey([[0, 255, 0, 255]]))
case("2-bit.png", "PNG, 2 bits", png(4, 1, 2, 0, [b"\x1b"]), grey([[0, 85, 170, 255]]))
case("4-bit.png", "PNG, 4 bits", png(4, 1, 4, 0, [b"\x05\xaf"]), grey([[0, 85, 170, 255]]))
case(
    "2-bit-clear.png",
    "PNG, 2 bits, one grey transparent",
    png(4, 1, 2, 0, [b"\x1b"], chunk(b"tRNS", b"\0\x01")),
    grey([[0, 255, 170, 255]]),
)
WIDE = np.array([0, 255, 256, 32768, 65279, 65535], ">u2")
NARROW = grey([[0, 0, 1, 128, 254, 255]])
case("16-bit.png", "PNG, 16-bit grey", png(6, 1, 16, 0, [WIDE.tobytes()]), NARROW)
case(
    "16-bit-clear.png",
    "PNG, 16-bit grey, one grey transparent",
    png(6, 1, 16, 0, [WIDE.tobytes()], chunk(b"tRNS", struct.pack(">H", 32768))),
    grey([[0, 0, 1, 255, 254, 255]]),
)
case("16-bit-rgb.png", "PNG, 16-bit colour", png(6, 1, 16, 2, [WIDE.repeat(3).tobytes()]), NARROW)
case(
    "16-bit-rgb-clear.png",
    "PNG, 16-bit colour, one colour transparent",
    png(6, 1, 16, 2, [WIDE.repeat(3).tobytes()], chunk(b"tRNS", struct.pack(">HHH", *[32768] * 3))),
    grey([[0, 0, 1, 255, 254, 255]]),
)
case(
    "16-bit-rgba.png",
    "PNG, 16-bit colour with alpha",
    png(2, 1, 16, 6, [struct.pack(">8H", 65535, 0, 0, 65535, 0, 0, 0, 0)]),
    [[RED, WHITE]],
)
case(
    "16-bit-grey-alpha.png",
    "PNG, 16-bit grey with alpha",
    png(2, 1, 16, 4, [struct.pack(">4H", 25700, 65535, 25700, 0)]),
    grey([[100, 255]]),
)
case("alpha.png", "PNG, half transparent", png(1, 1, 8, 6, [bytes([0, 0, 0, 127])]), grey([[128]]))
PALETTE = chunk(b"PLTE", bytes([*RED, *GREEN, *BLUE]))
case("palette.png", "PNG, palette", png(3, 1, 8, 3, [b"\0\1\2"], PALETTE), [[RED, GREEN, BLUE]])
case(
    "palette-alpha.png",
    "PNG, palette with alpha",
    png(3, 1, 8, 3, [b"\0\1\2"], PALETTE + chunk(b"tRNS", bytes([255, 0]))),
    [[RED, WHITE, BLUE]],
)
case(
    "palette-short.png",
    "PNG, palette too short",
    png(2, 1, 8, 3, [b"\0\7"], PALETTE),
    [[RED, (0, 0, 0)]],
)
case(
    "interlaced.png",
    "PNG, interlaced",
    # The standard's seven passes: of 2 × 2 pixels the first, the sixth and the last hold any.
    png(2, 2, 8, 2, [bytes(RED), bytes(GREEN), bytes([*BLUE, *WHITE])], interlaced=1),
    FOUR,
)
case(
    "animated.png",
    "PNG, animated: the first picture",
    lambda: encode(of(FOUR), "PNG", save_all=True, append_images=[of(FOUR[::-1])]),
    FOUR,
)
case(
    "turned.png",
    "PNG with an orientation",
    lambda: encode(of(CORNER), "PNG", exif=exif(6)),
    TURNED,
)
case("20-to-1.png", "PNG, 20 × 1 pixels", png(20, 1, 8, 0, [bytes(20)]), np.zeros((1, 20, 3)))
case("strip.png", "PNG, 21 × 1 pixels", png(21, 1, 8, 0, [bytes(21)]), "aspect")
case("side.png", "PNG that claims 20,001 × 2,000", png(20_001, 2000, 8, 2, []), "side")
case("claim.png", "PNG that claims 8,100 × 8,100", png(8100, 8100, 8, 2, []), "pixels")
case("claim-more.png", "PNG that claims 60,000 × 60,000", png(60_000, 60_000, 8, 2, []), "pixels")
case("zero.png", "PNG of no width", png(0, 4, 8, 2, []), "kind")
case("no-pixels.png", "PNG without pixels", png(4, 4, 8, 2, []), "damaged")
case("half.png", "PNG, second half missing", lambda: cut(encode(of(CORNER), "PNG"), 0.5), "damaged")
# Pillow treats the end of the pixels as the end of the picture; the rest stays black.
case("rows.png", "PNG with too few rows", png(1, 3, 8, 0, [b"a"]), grey([[97], [0], [0]]))
case(
    "checksum.png",
    "PNG, checksum of its header wrong",
    lambda: png(2, 1, 8, 0, [b"ab"]).replace(b"IHDR\0\0\0\2", b"IHDR\0\0\0\3"),
    "kind",
)
case(
    "rubbish.png",
    "PNG whose pixels are not compressed",
    lambda: png(2, 1, 8, 0, [], chunk(b"IDAT", b"rubbish")),
    "damaged",
)
case(
    "idat-bomb.png",
    "PNG, 50 MB of zeros behind its pixels",
    lambda: png(2, 1, 8, 0, [b"ab" + bytes(50_000_000)]),
    grey([[97, 98]]),
)
case(
    "text-bomb.png",
    "PNG, 50 MB of text in its metadata",
    lambda: png(2, 1, 8, 0, [b"ab"], chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(50_000_000)))),
    "damaged",
)
case(
    "profile-bomb.png",
    "PNG, 50 MB of colour profile",
    lambda: png(2, 1, 8, 0, [b"ab"], chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(50_000_000)))),
    "damaged",
)
case(
    "chunks.png",
    "PNG of 120,000 empty parts",
    lambda: png(2, 1, 8, 0, [b"ab"], chunk(b"prVt", b"") * 120_000),
    "parts",
)

# --- GIF ------------------------------------------------------------------------------------

case("plain.gif", "GIF", gif((3, 2), (0, 0, 3, 2)), np.full((2, 3, 3), RED))
case(
    "animated.gif",
    "GIF, animated: the first picture",
    lambda: encode(of(FOUR), "GIF", save_all=True, append_images=[of(FOUR[::-1])]),
    FOUR,
)
case(
    "part.gif",
    "GIF whose picture covers a part of it",
    gif((3, 1), (1, 0, 1, 1)),
    [[BLUE, RED, BLUE]],
)
case(
    "clear.gif",
    "GIF, transparent",
    gif((2, 1), (0, 0, 2, 1), b"!\xf9\x04\x01\0\0\x01\0"),
    grey([[255, 255]]),
)
case("huge.gif", "GIF that claims 65,535 × 65,535", gif((65535, 65535), (0, 0, 1, 1)), "pixels")
case(
    "frame.gif",
    "GIF whose picture is larger than it",
    gif((1, 1), (0, 0, 1, 1)).replace(b",\0\0\0\0\1\0", b",\0\0\0\0\x60\xea"),
    "side",
)
case(
    "comments.gif",
    "GIF, a comment of 300,000 pieces",
    gif((1, 1), (0, 0, 1, 1), b"!\xfe" + b"\x01a" * 300_000 + b"\0"),
    "parts",
)
case("half.gif", "GIF, second half missing", gif((40, 40), (0, 0, 40, 40))[:300], "damaged")
case("no-frame.gif", "GIF without a picture", gif((3, 2), (0, 0, 3, 2))[:19] + b";", "kind")

# --- BMP ------------------------------------------------------------------------------------

case("24-bit.bmp", "BMP", bmp(1, 1, 24, bytes([0, 0, 255, 0])), [[RED]])
TWO_ROWS = bytes([0, 0, 255, 0, 255, 0, 0, 0])
case("upside-down.bmp", "BMP, lowest row first", bmp(1, 2, 24, TWO_ROWS), [[BLUE], [RED]])
case("top-down.bmp", "BMP, highest row first", bmp(1, -2, 24, TWO_ROWS), [[RED], [BLUE]])
case(
    "15-bit.bmp",
    "BMP, 5 bits a colour",
    bmp(2, 1, 16, struct.pack("<HH", 0x7C00, 0x001F)),
    [[RED, BLUE]],
)
GREYS = b"".join(bytes([value, value, value, 0]) for value in range(256))
case(
    "runs.bmp",
    "BMP, run lengths",
    bmp(3, 1, 8, b"\x02\x09\x01\x63\0\1", 1, GREYS),
    grey([[9, 9, 99]]),
)
case(
    "runs-many.bmp",
    "BMP of 300,000 runs",
    lambda: bmp(1000, 300, 8, b"\x01\x07" * 300_000, 1, GREYS),
    "parts",
)
case("huge.bmp", "BMP that claims 50,000 × 50,000", bmp(50_000, 50_000, 24, b""), "pixels")
case("negative.bmp", "BMP of negative width", bmp(-4, 4, 24, bytes(48)), "pixels")
case("half.bmp", "BMP, pixels missing", bmp(64, 64, 24, bytes(99)), "damaged")

# --- TIFF -----------------------------------------------------------------------------------

for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
    case(
        f"{compression}.tif",
        f"TIFF, {compression.removeprefix('tiff_').replace('_', ' ')}",
        lambda compression=compression: encode(of(FOUR), "TIFF", compression=compression),
        FOUR,
    )
case("8-bit.tif", "TIFF, grey", tiff({}, b"\x05\xf0"), grey([[5, 240]]))
case(
    "white-is-0.tif", "TIFF that counts from white", tiff({262: 0}, b"\x05\xf0"), grey([[250, 15]])
)
case(
    "16-bit.tif",
    "TIFF, 16 bits, big-endian",
    tiff({258: [16]}, b"\x05\xff\xf0\0", ">"),
    grey([[5, 240]]),
)
case(
    "16-bit-white-is-0.tif",
    "TIFF, 16 bits, that counts from white",
    tiff({258: [16], 262: 0}, b"\xff\x05\0\xf0"),
    grey([[250, 15]]),
)
case("12-bit.tif", "TIFF, 12 bits", tiff({258: [12]}, b"\x05\xff\0"), grey([[5, 240]]))
case(
    "16-bit-rgb.tif",
    "TIFF, 16-bit colour",
    tiff({256: 1, 258: [16] * 3, 262: 2, 277: 3}, struct.pack("<3H", 65535, 256, 255)),
    [[(255, 1, 0)]],
)
case(
    "planes.tif",
    "TIFF, colours one after the other",
    tiff(
        {258: [8] * 3, 262: 2, 277: 3, 284: 2, 273: [8, 10, 12], 279: [2, 2, 2]},
        b"\xff\0\0\xff\0\0",
    ),
    [[RED, GREEN]],
)
case(
    "float.tif",
    "TIFF, 32-bit fractions",
    lambda: encode(of(np.ones((2, 2), np.float32)), "TIFF"),
    "pixel-form",
)
case(
    "int.tif",
    "TIFF, 32-bit whole numbers",
    lambda: encode(of(np.ones((2, 2), np.int32)), "TIFF"),
    "pixel-form",
)
case("signed.tif", "TIFF, 16 bits with a sign", tiff({258: [16], 339: [2]}, bytes(4)), "pixel-form")
case("lab.tif", "TIFF, Lab colours", lambda: encode(Image.new("LAB", (2, 2)), "TIFF"), "pixel-form")
case(
    "jpeg.tif",
    "TIFF with a JPEG inside",
    lambda: encode(of(FLAT), "TIFF", compression="jpeg"),
    "pixel-form",
)
case(
    "fax.tif",
    "TIFF, fax",
    lambda: encode(Image.new("1", (8, 8)), "TIFF", compression="group4"),
    "pixel-form",
)
case("strips.tif", "TIFF that claims 20,001 strips", tiff({273: (20_001, 8)}, b"ab"), "parts")
case("big.tif", "BigTIFF", b"II+\0\x08\0\0\0" + bytes(64), "kind")
case(
    "huge.tif",
    "TIFF that claims 60,000 × 60,000",
    tiff({256: 60_000, 257: 60_000}, b"ab"),
    "pixels",
)
case("nowhere.tif", "TIFF whose directory is beyond its end", b"II*\0\xff\xff\xff\x7f", "kind")
case("half.tif", "TIFF, pixels behind its end", tiff({273: 9_999_999}, b"ab"), "damaged")

# --- WebP, AVIF, HEIC -----------------------------------------------------------------------

EXACT = {"lossless": True, "exact": True}
case("lossless.webp", "WebP, lossless", lambda: encode(of(FOUR), "WEBP", **EXACT), FOUR)
case("lossy.webp", "WebP, lossy", lambda: encode(of(FLAT), "WEBP", quality=95), FLAT, 8)
HIDDEN = np.array([[[*RED, 255], [*RED, 0]]], np.uint8)
case("alpha.webp", "WebP, transparent", lambda: encode(of(HIDDEN), "WEBP", **EXACT), [[RED, WHITE]])
case(
    "animated.webp",
    "WebP, animated: the first picture",
    lambda: encode(of(FOUR), "WEBP", save_all=True, append_images=[of(FOUR[::-1])], lossless=True),
    FOUR,
)
case(
    "half.webp",
    "WebP, second half missing",
    lambda: cut(encode(of(CORNER), "WEBP"), 0.5),
    "damaged",
)

CLEAR = np.dstack([FLAT, np.full((16, 24), 255, np.uint8)])
CLEAR[:, 12:, 3] = 0
FLAT_CLEAR = FLAT.copy()
FLAT_CLEAR[:, 12:] = 255
for kind, ending in (("AVIF", "avif"), ("HEIF", "heic")):
    name = "HEIC" if kind == "HEIF" else kind

    def file(pixels: np.ndarray = FLAT, kind: str = kind, **options: Any) -> bytes:
        return encode(of(pixels), kind, quality=95, **options)

    case(f"plain.{ending}", name, file, FLAT, 8)
    case(
        f"grey.{ending}",
        f"{name}, grey",
        lambda file=file: file(FLAT[..., 0]),
        grey(FLAT[..., 0]),
        4,
    )
    case(
        f"alpha.{ending}",
        f"{name}, transparent",
        lambda file=file: file(CLEAR),
        FLAT_CLEAR,
        12,
    )
    case(
        f"phone.{ending}",
        f"{name}, held upright, with GPS",
        lambda file=file: file(CORNER, exif=exif(6)),
        TURNED,
        24,
    )
    case(
        f"half.{ending}",
        f"{name}, end missing",
        lambda file=file: file(CORNER)[:-40],
        "damaged",
    )
    case(
        f"head.{ending}",
        f"{name}, only its first bytes",
        lambda file=file: file()[:40],
        "kind",
    )
    case(
        f"huge.{ending}",
        f"{name} that claims 9,000 × 9,000",
        lambda file=file: claiming(file(CORNER), b"ispe", 9000, 9000),
        "pixels",
    )
case(
    "small-claim.heic",
    "HEIC that claims fewer pixels than it has",
    lambda: claiming(file(np.zeros((600, 600, 3), np.uint8)), b"ispe", 16, 16),
    "damaged",
)
case(
    "other-brand.heic",
    "HEIC of the brand mif1",
    lambda: file().replace(b"heic", b"mif1", 1),
    FLAT,
    8,
)
case(
    "several.heic",
    "HEIC of several pictures: the main one",
    lambda: encode(
        of(FLAT // 2), "HEIF", quality=95, save_all=True, append_images=[of(FLAT)], primary_index=1
    ),
    FLAT,
    8,
)

# --- No photos ------------------------------------------------------------------------------

case("empty.jpg", "a file of 0 bytes", b"", "empty")
case("fat.jpg", "a file of more than 15 MB", lambda: jpeg() + bytes(15 * 2**20), "bytes")
for name, what, data in (
    ("text.jpg", "text", b"A cat, sitting.\n"),
    ("page.png", "a web page", b"<!doctype html><script>alert(1)</script>"),
    (
        "drawing.svg.png",
        "SVG",
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///x'/></svg>",
    ),
    ("program.jpg", "PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
    ("paper.jpg", "PDF", b"%PDF-1.7\n"),
    ("archive.jpg", "a ZIP archive", b"PK\x05\x06" + bytes(18)),
    ("film.heic", "a film (MP4)", b"\0\0\0\x18ftypisom\0\0\2\0isomiso2"),
    ("pixmap.png", "PPM", b"P6 1 1 255 abc"),
    ("layers.jpg", "Photoshop", b"8BPS\0\1" + bytes(64)),
    ("j2k.jpg", "JPEG 2000", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(32)),
    ("icon.png", "an icon", b"\0\0\1\0\1\0" + bytes(40)),
):
    case(name, what, data, "kind")


TABLE_HEADING = """\
# Odd and bad photos: the tables

`python -m tests.corpus.photos --table` prints this file; `tests/photos/test_photo_corpus.py`
compares it with what happens.

"""


def table() -> str:
    """The result of every case, as Markdown."""
    from cnnviz.errors import PhotoError
    from cnnviz.photos.decoding import open_photo

    lines = [*TABLE_HEADING.splitlines(), "| photo | outcome |", "|---|---|"]
    sentences: dict[str, str] = {}
    for each in CASES:
        try:
            height, width, _ = open_photo(each.make()).shape
            outcome = f"opens, {width} × {height}"
        except PhotoError as error:
            outcome = f"refused: `{error.code}`"
            sentences.setdefault(error.code, str(error))
        lines.append(f"| {each.what} | {outcome} |")
    lines += ["", "| code | what the person reads, for example |", "|---|---|"]
    lines += [f"| `{code}` | {sentence} |" for code, sentence in sorted(sentences.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1] == "--table":
        print(table())
    else:
        for each in CASES:
            (Path(sys.argv[1]) / each.name).write_bytes(each.make())
