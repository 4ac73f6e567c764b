"""A visitor without a browser: uses Streamlit 1.67's protocol over a real websocket.

Every message is one protobuf: ``BackMsg`` to the server, ``ForwardMsg`` from it. A run of the app
begins with ``new_session``, sends its elements one by one, and ends with ``script_finished``.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.cookies import RequestsCookieJar
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.AppPage_pb2 import AppPage
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.BidiComponent_pb2 import BidiComponent
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Common_pb2 import (
    FileUploaderState,
    FileURLs,
    FileURLsRequest,
    StringArray,
    UploadedFileInfo,
)
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.Markdown_pb2 import Markdown
from streamlit.proto.MultiSelect_pb2 import MultiSelect
from streamlit.proto.PlotlyChart_pb2 import PlotlyChart
from streamlit.proto.Selectbox_pb2 import Selectbox
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

# The time limit for an answer.
SECONDS = 60
_XSRF = "_streamlit_xsrf"
# The beginning of the name under which a component's events are sent.
_EVENTS = "$$STREAMLIT_INTERNAL_KEY"
_FINISHED = (
    ForwardMsg.FINISHED_SUCCESSFULLY,
    ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY,
)
# Of Markdown, and of the app for Streamlit (cnnviz.ui.text).
_ESCAPE = re.compile(r"\\(?=[\W_])|:small\[\]")


class Visitor:
    """One session of the app.

    Attributes:
        elements: the elements of the page after the last run, by their path in it.
        page: the address of the page, empty for the first one.
        problems: the text of every exception, error and warning so far.
        arrived: when each chart and text came last, on the monotonic clock, by its key or body.
        repeats: the parts of the page that a browser runs again and again, and after how many
            seconds each.
    """

    def __init__(self, url: str, http: requests.Session, socket: ClientConnection) -> None:
        self.elements: dict[tuple[int, ...], Element] = {}
        self.page = ""
        self.problems: list[str] = []
        self.arrived: dict[str, float] = {}
        self.repeats: dict[str, float] = {}
        self._url = url
        self._http = http
        self._socket = socket
        self._query = ""
        self._session = ""
        self._pages: list[AppPage] = []
        self._page_hash = ""
        self._widgets: dict[str, WidgetState] = {}
        # The fragment of each element, empty outside of one.
        self._fragments: dict[tuple[int, ...], str] = {}

    async def open(self, link: str) -> None:
        """Opens a link such as ``filters?layer=conv1`` as the session's first page."""
        parts = urlsplit(link)
        self.page, self._query = parts.path.strip("/"), parts.query
        await self._run(page_name=self.page)

    async def turn_to(self, page: str, query: str = "") -> None:
        """Changes the page by its address; only the sidebar's widgets keep their state."""
        self._page_hash = next(one.page_script_hash for one in self._pages if _path(one) == page)
        self.page, self._query = page, query
        uploaders = {one.file_uploader.id for one in self._of("file_uploader")}
        self._widgets = {key: self._widgets[key] for key in uploaders & self._widgets.keys()}
        await self._run()

    async def choose(self, label: str, option: str) -> None:
        """Chooses an option in a select box, or as the only one in a multiselect."""
        box = self._box(label)
        if isinstance(box, MultiSelect):
            state = WidgetState(id=box.id, string_array_value=StringArray(data=[option]))
        else:
            state = WidgetState(id=box.id, string_value=option)
        self._widgets[box.id] = state
        await self._run()

    async def upload(self, name: str, data: bytes) -> None:
        """Gives a file to the uploader for photos."""
        uploaders = (one.file_uploader for one in self._of("file_uploader"))
        uploader = next(one for one in uploaders if one.label == "Your photo")
        request = FileURLsRequest(request_id=name, file_names=[name], session_id=self._session)
        await self._socket.send(BackMsg(file_urls_request=request).SerializeToString())
        while (message := await self._receive()).WhichOneof("type") != "file_urls_response":
            self._take(message)
        urls = message.file_urls_response.file_urls[0]
        await asyncio.to_thread(self._put, urls, name, data)
        info = UploadedFileInfo(name=name, size=len(data), file_id=urls.file_id, file_urls=urls)
        files = FileUploaderState(uploaded_file_info=[info])
        self._widgets[uploader.id] = WidgetState(id=uploader.id, file_uploader_state_value=files)
        await self._run()

    async def report(self, key: str, event: dict[str, Any]) -> None:
        """Sends an event of the component with that key, and waits for the run that follows.

        A component in a fragment has that run alone, as a browser does.
        """
        path, viewer = next(
            (path, one.bidi_component)
            for path, one in self.elements.items()
            if one.WhichOneof("type") == "bidi_component" and _key(one.bidi_component) == key
        )
        name = f"{_EVENTS}_{viewer.id}__events"
        payload = json.dumps([{"event": "event", "value": event}])
        self._widgets[name] = WidgetState(id=name, json_trigger_value=payload)
        try:
            await self._run(fragment=self._fragments[path])
        finally:
            # It counts for one run.
            self._widgets.pop(name, None)

    async def wait_and_repeat(self) -> None:
        """Does what a browser does by itself: waits, and runs a part of the page again."""
        part, pause = next(iter(self.repeats.items()))
        await asyncio.sleep(pause)
        await self._run(fragment=part)

    async def send_file(self, name: str, data: bytes) -> int:
        """Sends a file that no uploader has asked for; returns the status of the answer."""
        return (await asyncio.to_thread(self._request, "PUT", name, data)).status_code

    async def delete_file(self, name: str) -> int:
        """Deletes such a file; returns the status of the answer."""
        return (await asyncio.to_thread(self._request, "DELETE", name, None)).status_code

    async def send_frame(self, frame: bytes | str) -> int | None:
        """Sends any frame; returns the code with which the server closes, None if it does not."""
        await self._socket.send(frame)
        try:
            while True:
                async with asyncio.timeout(1):
                    await self._socket.recv()
        except TimeoutError:
            return None
        except ConnectionClosed as error:
            return error.rcvd.code if error.rcvd else None

    @property
    def cookies(self) -> RequestsCookieJar:
        """The cookies that the server, or a proxy in front of it, has set."""
        return self._http.cookies

    @property
    def link(self) -> str:
        """The address of the page, relative to the server's."""
        return f"{self.page}?{self._query}"

    def options(self, label: str) -> list[str]:
        """The options of a select box or multiselect."""
        return list(self._box(label).options)

    def chosen(self, label: str) -> list[str]:
        """The chosen options of a select box or multiselect."""
        box = self._box(label)
        state = self._widgets.get(box.id)
        if isinstance(box, MultiSelect):
            if state is not None:
                return list(state.string_array_value.data)
            return list(box.raw_values) or [box.options[index] for index in box.default]
        if state is not None:
            return [state.string_value]
        return [box.raw_value or box.options[box.default]]

    @property
    def captions(self) -> list[str]:
        """The captions on the page, without Markdown's escapes."""
        texts = [one.markdown for one in self._of("markdown")]
        captions = [text.body for text in texts if text.element_type == Markdown.CAPTION]
        return [_ESCAPE.sub("", text) for text in captions]

    @property
    def thumbnails(self) -> list[str]:
        """The addresses of the pictures; each depends on the picture's content."""
        return [image.url for one in self._of("imgs") for image in one.imgs.imgs]

    @property
    def charts(self) -> dict[str, str]:
        """The figures of the charts as JSON, by the keys that the app gave them."""
        charts = [one.plotly_chart for one in self._of("plotly_chart")]
        return {_name(chart): chart.spec for chart in charts}

    @property
    def viewers(self) -> dict[str, bytes]:
        """What the viewers draw, by the keys that the app gave them."""
        viewers = [one.bidi_component for one in self._of("bidi_component")]
        return {_key(viewer): viewer.bytes for viewer in viewers}

    def _box(self, label: str) -> Selectbox | MultiSelect:
        boxes: list[Selectbox | MultiSelect] = [one.selectbox for one in self._of("selectbox")]
        boxes += [one.multiselect for one in self._of("multiselect")]
        return next(box for box in boxes if box.label == label)

    def _of(self, kind: str) -> Iterator[Element]:
        return (one for one in self.elements.values() if one.WhichOneof("type") == kind)

    async def _run(self, page_name: str = "", fragment: str = "") -> None:
        state = ClientState(
            query_string=self._query,
            page_name=page_name,
            fragment_id=fragment,
            page_script_hash=self._page_hash,
            widget_states=WidgetStates(widgets=self._widgets.values()),
        )
        await self._socket.send(BackMsg(rerun_script=state).SerializeToString())
        while True:
            message = await self._receive()
            self._take(message)
            if message.WhichOneof("type") == "script_finished":
                if message.script_finished in _FINISHED:
                    return
                if message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    self.problems.append("the page could not be compiled")
                    return

    async def _receive(self) -> ForwardMsg:
        async with asyncio.timeout(SECONDS):
            data = await self._socket.recv(decode=False)
        return ForwardMsg.FromString(data)

    def _take(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            if not message.metadata.run.fragment_ids:
                self.elements.clear()
                self.repeats.clear()
            self._session = message.new_session.initialize.session_id
        elif kind == "navigation":
            self._pages = list(message.navigation.app_pages)
            self._page_hash = message.navigation.page_script_hash
        elif kind == "page_info_changed":
            self._query = message.page_info_changed.query_string
        elif kind == "page_not_found":
            self.problems.append("there is no such page")
        elif kind == "auto_rerun":
            self.repeats[message.auto_rerun.fragment_id] = message.auto_rerun.interval
        elif kind == "delta" and message.delta.HasField("new_element"):
            path = tuple(message.metadata.delta_path)
            self._fragments[path] = message.delta.fragment_id
            self._add(path, message.delta.new_element)

    def _add(self, path: tuple[int, ...], element: Element) -> None:
        self.elements[path] = element
        kind = element.WhichOneof("type")
        if kind == "plotly_chart":
            self.arrived[_name(element.plotly_chart)] = time.monotonic()
        elif kind == "markdown":
            self.arrived[element.markdown.body] = time.monotonic()
        if kind == "exception":
            self.problems.append(f"{element.exception.type}: {element.exception.message}")
        elif kind == "alert" and element.alert.format in (Alert.ERROR, Alert.WARNING):
            self.problems.append(_ESCAPE.sub("", element.alert.body))
        elif kind == "selectbox" and element.selectbox.set_value:
            self._widgets.pop(element.selectbox.id, None)
        elif kind == "multiselect" and element.multiselect.set_value:
            self._widgets.pop(element.multiselect.id, None)

    def _put(self, urls: FileURLs, name: str, data: bytes) -> None:
        self._request("PUT", urls.file_id, data, name).raise_for_status()

    def _request(
        self, method: str, file_id: str, data: bytes | None, name: str = "name"
    ) -> requests.Response:
        return self._http.request(
            method,
            f"{self._url}/_stcore/upload_file/{self._session}/{file_id}",
            files={"file": (name, data, "image/jpeg")} if data is not None else None,
            headers={"X-Xsrftoken": _token(self._http)},
            timeout=SECONDS,
        )


@asynccontextmanager
async def visitor(url: str, cookies: RequestsCookieJar | None = None) -> AsyncIterator[Visitor]:
    """Connects a new session with a server, as a browser with these cookies does.

    Raises:
        OSError, WebSocketException, RequestException: the server does not answer, or refuses.
    """
    with requests.Session() as http:
        # The server closes a connection that is idle for seconds; a browser would retry.
        http.headers["Connection"] = "close"
        http.cookies.update(cookies or RequestsCookieJar())
        health = await asyncio.to_thread(http.get, f"{url}/_stcore/health", timeout=SECONDS)
        health.raise_for_status()
        cookie = "; ".join(f"{name}={value}" for name, value in http.cookies.items())
        async with connect(
            f"ws{url.removeprefix('http')}/_stcore/stream",
            origin=Origin(url),
            subprotocols=[Subprotocol("streamlit"), Subprotocol(_token(http))],
            additional_headers={"Cookie": cookie},
            max_size=None,
        ) as socket:
            yield Visitor(url, http, socket)


def _key(viewer: BidiComponent) -> str:
    """The key that the app gave: it follows `$$ID-` and a hash."""
    return viewer.id.split("-", 2)[2]


def _name(chart: PlotlyChart) -> str:
    """The key that the app gave to a chart."""
    return chart.id.partition("-chart:")[2]


def _path(page: AppPage) -> str:
    return "" if page.is_default else page.url_pathname


def _token(http: requests.Session) -> str:
    """The XSRF token."""
    return http.cookies[_XSRF] or ""
