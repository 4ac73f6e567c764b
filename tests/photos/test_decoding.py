"""Photos in: every format and mode, every orientation, every way to be broken; pictures out."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from corpus.photos import encode
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from cnnviz.errors import PhotoError
from cnnviz.photos.checks import MAX_BYTES
from cnnviz.photos.decoding import EXTENSIONS, open_photo
from cnnviz.photos.encoding import encode_jpeg, encode_png, shrink
from cnnviz.photos.samples import samples

LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "WEBP": {"lossless": True, "exact": True}}
LOSSY = ("JPEG", "AVIF", "WEBP", "HEIF")
ORIENTATION = 0x0112

# To write HEIC, and to read it without cnnviz.
pillow_heif.register_heif_opener()


def on_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None] / 255
    return colour * share + 255 * (1 - share)


def small_pixels(depth: int) -> st.SearchStrategy[np.ndarray]:
    shapes = st.tuples(st.integers(1, 9), st.integers(1, 9))
    return shapes.flatmap(lambda shape: hnp.arrays(np.uint8, (*shape, depth)))


# --- Formats and modes ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", LOSSLESS)
@given(pixels=small_pixels(3))
def test_a_lossless_photo_is_decoded_exactly(kind: str, pixels: np.ndarray) -> None:
    photo = open_photo(encode(Image.fromarray(pixels), kind, **LOSSLESS[kind]))
    assert photo.dtype == np.uint8
    np.testing.assert_array_equal(photo, pixels)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
@given(pixels=small_pixels(1))
def test_grey_becomes_three_equal_channels(kind: str, pixels: np.ndarray) -> None:
    photo = open_photo(encode(Image.fromarray(pixels[..., 0]), kind))
    np.testing.assert_array_equal(photo, np.repeat(pixels, 3, axis=-1))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@given(pixels=small_pixels(4))
def test_transparent_parts_are_laid_on_white(kind: str, pixels: np.ndarray) -> None:
    photo = open_photo(encode(Image.fromarray(pixels), kind, **LOSSLESS[kind]))
    expected = on_white(pixels[..., :3], pixels[..., 3])
    np.testing.assert_allclose(photo, expected, atol=1)


@given(pixels=small_pixels(2))
def test_grey_with_transparency_is_laid_on_white(pixels: np.ndarray) -> None:
    photo = open_photo(encode(Image.fromarray(pixels), "PNG"))
    expected = on_white(np.repeat(pixels[..., :1], 3, axis=-1), pixels[..., 1])
    np.testing.assert_allclose(photo, expected, atol=1)


@pytest.mark.parametrize(("kind", "order"), [("PNG", "<u2"), ("TIFF", "<u2"), ("TIFF", ">u2")])
def test_16_bit_grey_is_scaled_and_not_clipped(kind: str, order: str) -> None:
    wide = np.array([[0, 255, 256], [32768, 65279, 65535]])
    photo = open_photo(encode(Image.fromarray(wide.astype(order)), kind))
    np.testing.assert_array_equal(photo[..., 0], [[0, 0, 1], [128, 254, 255]])


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "BMP"])
def test_a_palette_is_looked_up(kind: str) -> None:
    image = Image.new("P", (2, 2))
    image.putdata([0, 1, 2, 1])
    image.putpalette([200, 10, 30, 0, 90, 255, 7, 7, 7])
    photo = open_photo(encode(image, kind))
    expected = [[[200, 10, 30], [0, 90, 255]], [[7, 7, 7], [0, 90, 255]]]
    np.testing.assert_array_equal(photo, expected)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_entry_is_white_and_hides_its_colour(kind: str) -> None:
    image = Image.new("P", (2, 1))
    image.putdata([0, 1])
    image.putpalette([200, 10, 30, 0, 90, 255])
    photo = open_photo(encode(image, kind, transparency=0))
    np.testing.assert_array_equal(photo, [[[255, 255, 255], [0, 90, 255]]])


def test_one_bit_is_black_and_white() -> None:
    image = Image.fromarray(np.array([[True, False], [False, True]]))
    for kind in ("PNG", "BMP", "TIFF"):
        photo = open_photo(encode(image, kind))
        np.testing.assert_array_equal(photo[..., 1], [[255, 0], [0, 255]])


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(kind: str) -> None:
    cmyk = np.zeros((16, 16, 4), np.uint8)
    cmyk[:] = (255, 0, 0, 0)
    cmyk[8:] = (0, 0, 0, 255)
    photo = open_photo(encode(Image.fromarray(cmyk, "CMYK"), kind))
    np.testing.assert_allclose(photo[2, 2], (0, 255, 255), atol=6)
    np.testing.assert_allclose(photo[13, 13], (0, 0, 0), atol=6)


@pytest.mark.parametrize("kind", LOSSY)
def test_a_lossy_photo_is_decoded_nearly_exactly(kind: str) -> None:
    rows, columns = np.mgrid[:64, :96]
    pixels = np.stack([rows * 4, columns * 2, 255 - rows * 2], axis=-1).astype(np.uint8)
    photo = open_photo(encode(Image.fromarray(pixels), kind, quality=95))
    assert photo.shape == pixels.shape
    assert np.abs(photo.astype(int) - pixels).mean() < 3


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_pictures_the_first_is_taken(kind: str) -> None:
    red, blue = (Image.new("RGB", (8, 6), colour) for colour in ("red", "blue"))
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(red, kind, save_all=True, append_images=[blue], **options)
    np.testing.assert_array_equal(open_photo(data), np.asarray(red))


def test_the_kind_is_read_from_the_bytes_and_not_from_the_name(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(encode(Image.new("RGB", (3, 2), "lime"), "PNG"))
    assert open_photo(tmp_path / "photo.jpg").tolist() == [[[0, 255, 0]] * 3] * 2
    assert open_photo(str(tmp_path / "photo.jpg")).shape == (2, 3, 3)


# --- Orientation ----------------------------------------------------------------------------

# How each EXIF orientation is brought upright, from the standard's table.
UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_photo_is_turned_upright(kind: str, orientation: int) -> None:
    pixels = np.random.default_rng(orientation).integers(0, 256, (5, 8, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = encode(Image.fromarray(pixels), kind, exif=exif, **LOSSLESS[kind])
    np.testing.assert_array_equal(open_photo(data), UPRIGHT[orientation](pixels))


@pytest.mark.parametrize("kind", ["JPEG", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_photo_of_a_phone_is_turned_upright(kind: str, orientation: int) -> None:
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:32, :32] = 255
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    photo = open_photo(encode(Image.fromarray(pixels), kind, exif=exif.tobytes()))
    np.testing.assert_allclose(photo, UPRIGHT[orientation](pixels), atol=40)


def test_16_bit_grey_is_turned_upright_too() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    wide = (np.arange(6).reshape(2, 3) << 8).astype(np.uint16)
    photo = open_photo(encode(Image.fromarray(wide), "PNG", exif=exif))
    np.testing.assert_array_equal(photo[..., 0], [[3, 0], [4, 1], [5, 2]])


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "damaged", [b"Exif\0\0no metadata at all", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"Exif\0\0"]
)
def test_damaged_metadata_is_no_reason_to_refuse_a_photo(kind: str, damaged: bytes) -> None:
    pixels = np.full((8, 8, 3), 90, np.uint8)
    data = encode(Image.fromarray(pixels), kind, exif=damaged)
    np.testing.assert_allclose(open_photo(data), pixels, atol=2)


# --- Size -----------------------------------------------------------------------------------


def png_claiming(width: int, height: int) -> bytes:
    """A PNG with a size in its header and no pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize(("height", "width"), [(1500, 3000), (4200, 1050)])
def test_a_large_photo_is_kept_smaller_and_whole(kind: str, height: int, width: int) -> None:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2, 0] = 255
    pixels[height // 2 :, width // 2 :, 2] = 255
    photo = open_photo(encode(Image.fromarray(pixels), kind))
    small_height, small_width, _ = photo.shape
    assert 500_000 < small_height * small_width <= 4_000_000
    assert small_height / small_width == pytest.approx(height / width, rel=0.01)
    np.testing.assert_allclose(photo[small_height // 4, small_width // 4], (255, 0, 0), atol=3)
    np.testing.assert_allclose(photo[-small_height // 4, -small_width // 4], (0, 0, 255), atol=3)


def test_the_smallest_photo_is_a_photo() -> None:
    np.testing.assert_array_equal(
        open_photo(encode(Image.new("RGB", (1, 1), "red"), "PNG")), [[[255, 0, 0]]]
    )


def test_more_pixels_than_can_be_held_are_refused_before_they_are_decoded() -> None:
    with pytest.raises(PhotoError, match="8100 × 8100 pixels; at most 64 million"):
        open_photo(png_claiming(8100, 8100))
    with pytest.raises(PhotoError, match="too many pixels; at most 64 million"):
        open_photo(png_claiming(60_000, 60_000))


@pytest.mark.parametrize(("width", "height"), [(1, 4000), (4000, 1), (21, 1), (1, 21)])
def test_a_strip_is_refused(width: int, height: int) -> None:
    with pytest.raises(PhotoError, match=f"{width} × {height} pixels: one side is more than 20"):
        open_photo(encode(Image.new("RGB", (width, height)), "PNG"))


def test_twenty_to_one_is_still_a_photo() -> None:
    assert open_photo(encode(Image.new("RGB", (20, 1)), "PNG")).shape == (1, 20, 3)


def test_too_many_bytes_are_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"15\.0 MB; at most 15 MB"):
        open_photo(b"\0" * (MAX_BYTES + 1))
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(PhotoError, match=r"huge\.png has 15\.0 MB"):
        open_photo(tmp_path / "huge.png")


# --- What is no photo -----------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"cat\.jpg cannot be opened: No such file"):
        open_photo(tmp_path / "cat.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path, tmp_path / "pipe.jpg", Path("/dev/zero")):
        with pytest.raises(PhotoError, match="cannot be opened: it is no file"):
            open_photo(path)


def test_an_empty_file_is_no_photo() -> None:
    with pytest.raises(PhotoError, match="empty"):
        open_photo(b"")


@pytest.mark.parametrize(
    "data",
    [
        b"just text",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        b"P6 1 1 255 abc",
    ],
)
def test_other_kinds_of_file_are_refused_with_a_message(data: bytes) -> None:
    with pytest.raises(PhotoError, match="damaged or of another kind. Supported are JPEG, PNG"):
        open_photo(data)


@given(st.binary(min_size=1, max_size=400))
def test_random_bytes_end_in_a_photo_error_only(data: bytes) -> None:
    with pytest.raises(PhotoError):
        open_photo(data)


KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")


def sound(kind: str) -> bytes:
    pixels = np.random.default_rng(5).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    options = {"exif": exif} if kind in {"JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"} else {}
    return encode(Image.fromarray(pixels), kind, **options)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_truncated_file_is_refused(kind: str, share: float) -> None:
    data = sound(kind)
    with pytest.raises(PhotoError, match="damaged"):
        open_photo(data[: int(len(data) * share)])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
@given(changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_damaged_file_gives_a_photo_or_a_photo_error(
    kind: str, changes: list[tuple[float, int]]
) -> None:
    data = bytearray(sound(kind))
    for position, value in changes:
        # The square puts most of the damage near the head, where the decoder takes decisions.
        data[int(position**2 * (len(data) - 1))] = value
    try:
        photo = open_photo(bytes(data))
    except PhotoError:
        return
    assert photo.dtype == np.uint8
    assert photo.ndim == 3
    assert photo.shape[2] == 3


def test_an_error_does_not_show_the_decoder_s_message() -> None:
    data = sound("PNG")
    with pytest.raises(PhotoError) as error:
        open_photo(data[:60])
    assert error.value.__cause__ is not None
    assert str(error.value.__cause__) not in str(error.value)


# --- Samples and pictures out ---------------------------------------------------------------


def test_every_sample_opens_and_has_its_source() -> None:
    pictures = samples()
    assert pictures
    assert len({sample.name for sample in pictures}) == len(pictures)
    for sample in pictures:
        assert sample.title
        assert sample.source
        assert sample.licence
        assert sample.models
        photo = open_photo(sample.path)
        assert photo.std() > 5


def test_a_png_keeps_every_pixel() -> None:
    rng = np.random.default_rng(0)
    for shape in ((4, 5), (4, 5, 1), (4, 5, 3), (4, 5, 4)):
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        with Image.open(io.BytesIO(encode_png(pixels))) as image:
            assert image.format == "PNG"
            np.testing.assert_array_equal(np.asarray(image), pixels.squeeze())


def test_a_jpeg_is_near_its_pixels() -> None:
    pixels = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    with Image.open(io.BytesIO(encode_jpeg(pixels))) as image:
        assert image.format == "JPEG"
        np.testing.assert_allclose(np.asarray(image), pixels, atol=4)


def test_shrink_keeps_the_proportions_and_the_mean() -> None:
    rows = np.linspace(0, 255, 90).astype(np.uint8)
    pixels = np.repeat(np.repeat(rows[:, None], 60, axis=1)[..., None], 3, axis=2)
    small = shrink(pixels, longest=30)
    assert small.shape == (30, 20, 3)
    np.testing.assert_allclose(small.mean(), pixels.mean(), atol=1)
    assert shrink(pixels, longest=90) is pixels
    assert shrink(np.zeros((1, 400, 3), np.uint8), longest=50).shape == (1, 50, 3)


def test_the_endings_that_are_offered_are_those_that_open(tmp_path: Path) -> None:
    for ending in EXTENSIONS:
        path = tmp_path / f"photo.{ending}"
        Image.new("RGB", (6, 4), "teal").save(path)
        assert open_photo(path).shape == (4, 6, 3)
