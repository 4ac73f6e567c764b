"""The choice of a photo: upload, camera or sample; it stays until another one is read."""

from __future__ import annotations

import hashlib

import numpy as np
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from cnnviz.errors import PhotoError
from cnnviz.figures.photos import picture
from cnnviz.photos.checks import MAX_BYTES
from cnnviz.photos.decoding import EXTENSIONS
from cnnviz.photos.encoding import shrink_picture
from cnnviz.photos.samples import Sample, samples
from cnnviz.serving.model_files import ModelFile
from cnnviz.ui import ask, choices, crops, notices, uploaders
from cnnviz.ui.loaded_photo import LoadedPhoto, decoded
from cnnviz.ui.sidebar import library
from cnnviz.ui.text import plain

# The longest side of what a chart shows, and of the thumbnail in the sidebar.
_SHOWN = 1000
# The parameter in the address.
_OWN = "photo"
# The keys of the widgets that photos come from.
_UPLOADER, _CAMERA = "uploaded photo", "camera"
_THUMBNAIL = 160


def pick(model: ModelFile) -> LoadedPhoto:
    """Draws the choice of a photo and returns the chosen one."""
    # Above the uploader, which shows the name of any file as if it had been read.
    # The first page has a place of its own for what is said there.
    problem = st.container(key="photo refusal")
    uploaded = uploaders.file_uploader(
        "Your photo",
        type=list(EXTENSIONS),
        key=_UPLOADER,
        max_upload_size=MAX_BYTES >> 20,
    )
    _take(uploaded, "uploaded")
    with st.expander("Take a picture", icon=":material/photo_camera:"):
        if st.toggle("Switch the camera on", key="camera on"):
            camera = uploaders.camera_input("Camera", _CAMERA, label_visibility="collapsed")
            _take(camera, "taken")
    _report_lost()
    if "photo problem" in st.session_state:
        problem.error(plain(st.session_state["photo problem"]), icon=":material/error:")
    sample = _pick_sample(model)
    _note_own_photo()
    photo = crops.apply(st.session_state.get("own photo") or _read_sample(sample))
    st.image(photo.thumbnail, width=_THUMBNAIL, alt=photo.name)
    st.caption(f"{plain(photo.name)}  \n{plain(photo.origin)}")
    if "own photo" in st.session_state:
        st.button("Forget my photo", icon=":material/delete:", on_click=_forget)
    st.caption("Your own photos stay in this server's memory, and go with your session.")
    return photo


def shown_sample(model: ModelFile) -> str | None:
    """The name of the sample that the pages show; None where they show a photo of one's own."""
    if "own photo" in st.session_state:
        return None
    offered = library.samples(model)
    chosen = choices.kept("sample", _scope(offered))
    return chosen[0] if chosen else offered[0].name


def choose_sample(model: ModelFile, name: str) -> None:
    """Chooses a sample for the person, before the choice is drawn."""
    offered = library.samples(model)
    if name in {sample.name for sample in offered}:
        _leave_photo()
        choices.put("sample", name, _scope(offered))


def sample_photo(model: ModelFile, name: str) -> LoadedPhoto:
    """A sample that suits a model, by its name; it is not made the photo of the pages."""
    (sample,) = [one for one in library.samples(model) if one.name == name]
    return _read_sample(sample)


def first_sample(model: ModelFile) -> LoadedPhoto:
    """The sample that a person finds who has not chosen a photo."""
    return _read_sample(library.samples(model)[0])


def any_sample(name: str) -> LoadedPhoto:
    """A sample by its name, whichever model it suits; it is not made the photo of the pages."""
    (sample,) = [one for one in samples() if one.name == name]
    return _read_sample(sample)


def _scope(offered: list[Sample]) -> str:
    return ",".join(sample.name for sample in offered)


def _forget() -> None:
    """Removes the photo, its file, and what was found out about it; a sample is shown again."""
    for name in ("own photo", "photo set aside", "photo problem", "last uploaded", "last taken"):
        st.session_state.pop(name, None)
    for key in (_UPLOADER, _CAMERA):
        uploaders.renew(key)
    decoded.clear()
    ask.forget_photos()


def _report_lost() -> None:
    """Says so where the address is that of a page with a photo that this session has not."""
    if not choices.link_names(_OWN):
        return
    choices.forget_address(_OWN)
    if "own photo" not in st.session_state and not uploaders.lost_session():
        notices.show(
            "The photo of this page is gone, and a sample is shown instead: a photo is not kept "
            "when its page is reloaded or the server restarts. Give it again to go on with it."
        )


def _note_own_photo() -> None:
    """Has the address say that the page shows a photo that is not in the link."""
    if "own photo" in st.session_state:
        choices.write_address(_OWN, ["own"])
    else:
        choices.forget_address(_OWN)


def _take(file: UploadedFile | None, how: str) -> None:
    """Reads a new file once; if it cannot be read, the photo stays the same."""
    last = st.session_state.get(f"last {how}")
    current = file.file_id if file is not None else None
    if current == last:
        return
    st.session_state[f"last {how}"] = current
    st.session_state.pop("photo problem", None)
    if file is None:
        _set_aside(how)
        return
    origin = "Your photo" if how == "uploaded" else "Taken just now"
    try:
        photo = _read(file.getvalue(), file.name, origin)
    except PhotoError as error:
        st.session_state["photo problem"] = f"{file.name}: {error}"
        if "photo set aside" in st.session_state:
            st.session_state["own photo"] = st.session_state.pop("photo set aside")
        return
    _leave_photo()
    st.session_state["own photo"] = photo
    st.session_state["source of own photo"] = how


def take(data: bytes, name: str, origin: str, how: str = "found") -> None:
    """Makes a photo that no uploader has the photo of all pages.

    Args:
        data: its file.
        name: its name.
        origin: its source.
        how: where it is from, such as the live camera.
    """
    try:
        photo = _read(data, name, origin)
    except PhotoError as error:
        st.session_state["photo problem"] = f"{name}: {error}"
        return
    _leave_photo()
    st.session_state["own photo"] = photo
    st.session_state["source of own photo"] = how


def _leave_photo() -> None:
    """Makes room for another photo."""
    st.session_state.pop("own photo", None)
    crops.leave_address()


def _set_aside(how: str) -> None:
    """Stops showing a photo, and keeps it in case the next one cannot be read.

    To replace a file, the browser first removes the old one and then sends the new one.
    """
    if st.session_state.get("source of own photo") == how and "own photo" in st.session_state:
        st.session_state["photo set aside"] = st.session_state.pop("own photo")


def _pick_sample(model: ModelFile) -> Sample:
    offered = library.samples(model)
    # A link to a sample replaces one's own photo, as a click on one does.
    if choices.link_names("sample"):
        st.session_state.pop("own photo", None)
    by_name = {sample.name: sample for sample in offered}
    name = choices.choose(
        st.selectbox,
        "Sample picture",
        "sample",
        list(by_name),
        offered[0].name,
        scope=_scope(offered),
        format_func=lambda name: by_name[name].title,
        on_change=_leave_photo,
    )
    if "own photo" in st.session_state:
        choices.forget_address("sample")
    return by_name[name]


@st.cache_resource(show_spinner=False, max_entries=32)
def _read_sample(sample: Sample) -> LoadedPhoto:
    origin = f"{sample.source}, {sample.licence}"
    return _read(sample.path.read_bytes(), sample.title, origin)


def _read(data: bytes, name: str, origin: str) -> LoadedPhoto:
    return loaded_photo(data, name, origin, hashlib.sha256(data).hexdigest())


def loaded_photo(file: bytes, name: str, origin: str, key: str) -> LoadedPhoto:
    """Decodes a photo's file, and makes the smaller pictures.

    Raises:
        PhotoError: the file is damaged, of an unknown kind, or too large.
    """
    image = decoded(key, file)
    shown = shrink_picture(image, _SHOWN)
    small = shrink_picture(shown, _THUMBNAIL)
    sent, thumbnail = (picture(np.asarray(one)) for one in (shown, small))
    height, width = image.height, image.width
    return LoadedPhoto(file, height, width, sent, thumbnail.source, name, origin, key)
