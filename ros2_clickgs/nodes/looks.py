# SPDX-License-Identifier: Apache-2.0
"""Objects that are still being looked at: the first answer at once, the rest step by step."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ros2_clickgs.core.clicking import images_of_clicks
from ros2_clickgs.core.growing import grow
from ros2_clickgs.core.looking import Look, Step
from ros2_clickgs.core.posed_image import PosedImage
from ros2_clickgs.core.state import Click
from ros2_clickgs.core.types import Camera
from ros2_clickgs.nodes.keyframes import Frame

if TYPE_CHECKING:
    from ros2_clickgs.nodes.workbench import Workbench

REMEMBERED = 4
"""Objects whose images and masks are kept for further clicks: those looked at last."""


@dataclass(slots=True, eq=False)
class Search:
    """An object, and what is left to do to know it better."""

    look: Look
    clicks: list[Click]
    frames: list[Frame] = field(default_factory=list)
    """Images of cameras that it was looked for in."""
    steps: Iterator[Step] | None = None
    """What is left; None: nothing."""

    @property
    def voted_at_ns(self) -> int:
        """Stamp of the last camera image that votes; 0 if none does."""
        voters = {id(sighting.image) for sighting in self.look.sightings if sighting.counts}
        return max((f.stamp_ns for f in self.frames if id(f.posed) in voters), default=0)


class Looks:
    """Begins to look for objects, and goes on when there is time; one thread at a time.

    A step asks one image at most. Objects that were clicked last come first; after all of them
    come the images that cameras took since, the newest first, in which the map finds its objects.
    """

    def __init__(self, bench: "Workbench") -> None:
        self._bench = bench
        self._searches: dict[int, Search] = {}
        self._growing: dict[str, tuple[Frame, Iterator[Step]]] = {}
        self._tried: dict[str, tuple[Frame, list[int]]] = {}
        """Camera -> its image in which objects were looked for last, and which."""

    @property
    def are_pending(self) -> bool:
        """Whether there is anything left to look at."""
        return bool(self._growing) or any(map(self.is_pending, self._searches))

    def is_pending(self, object_id: int) -> bool:
        """Return whether an object is still being looked at."""
        return object_id in self._searches and self._searches[object_id].steps is not None

    def begin(
        self,
        clicks: list[Click],
        *,
        object_id: int = 0,
        name: str = "",
        first: PosedImage | None = None,
        rendered_views: int = 0,
    ) -> int:
        """Look for the thing under the clicks until there is a first answer; return its id.

        Args:
            clicks: the new ones; those made on it before count, too.
            object_id: the object; 0 makes a new one.
            name: what to call a new one.
            first: view to ask before all others: the one that was clicked in.
            rendered_views: how many views around it may be rendered.
        """
        objects = self._bench.objects
        search = self._searches.pop(object_id, None)
        before = objects.clicks(object_id) if object_id else []
        is_known = search is not None and not search.look.is_outdated
        if is_known and (not clicks or search.look.shows_any(clicks)):
            search.clicks = [*before, *clicks]
            search.steps = search.look.refine(search.clicks, clicks, rendered_views)
        else:
            look = Look(objects, self._bench.segmenter, object_id=object_id, name=name)
            search = Search(look, [*before, *clicks])
            images = self._images(search, first)
            search.steps = look.find(images, search.clicks, rendered_views)
        object_id = next(step for step in search.steps if step)
        self._searches[object_id] = search
        self._note(object_id)
        for old in [i for i in self._searches if not self.is_pending(i)][:-REMEMBERED]:
            del self._searches[old]
        return object_id

    def see(self, frame: Frame) -> None:
        """Let the map find what was clicked in a new image, in place of an older one that waits.

        Objects from elsewhere, which no click has made, are left to those who draw their masks.
        """
        ids = [i for i in self._bench.objects.ids if self._is_new_to(i, frame)]
        tried, tried_ids = self._tried.get(frame.frame_id, (frame, []))
        if not ids or (ids == tried_ids and self._is_near(tried.posed.camera, frame)):
            return
        self._tried[frame.frame_id] = (frame, ids)
        steps = grow(self._bench.objects, self._bench.segmenter, frame.posed, ids)
        self._growing.pop(frame.frame_id, None)
        self._growing[frame.frame_id] = (frame, steps)

    def go_on(self, object_id: int = 0) -> bool:
        """Take a step; return whether an object has changed.

        Args:
            object_id: the object to look at, which is pending; 0: what is most urgent.
        """
        urgent = (i for i in reversed(self._searches) if self.is_pending(i))
        object_id = object_id or next(urgent, 0)
        return self._search_on(object_id) if object_id else self._grow_on()

    def forget(self, object_id: int) -> None:
        """Look no longer for an object, and know nothing of where it was looked for."""
        self._searches.pop(object_id, None)

    def clear(self) -> None:
        """Look no longer for anything."""
        self._searches.clear()
        self._growing.clear()

    def forget_undone(self) -> None:
        """Forget the searches whose last step was taken back."""
        for object_id, search in list(self._searches.items()):
            if not search.look.stands:
                self.forget(object_id)

    def _search_on(self, object_id: int) -> bool:
        search = self._searches[object_id]
        step = next(search.steps, None)
        if step is None:
            search.steps = None
        elif step:
            self._note(object_id)
        return bool(step)

    def _grow_on(self) -> bool:
        frame_id, (frame, steps) = next(reversed(self._growing.items()))
        step = next(steps, None)
        if step is None:
            del self._growing[frame_id]
        elif step:
            objects = self._bench.objects
            newest_ns = max(frame.stamp_ns, objects.state.ballot(step).voted_at_ns)
            objects.note(step, objects.clicks(step), newest_ns)
        return bool(step)

    def _note(self, object_id: int) -> None:
        search = self._searches[object_id]
        self._bench.objects.note(object_id, search.clicks, search.voted_at_ns)

    def _images(self, search: Search, first: PosedImage | None) -> Iterator[PosedImage]:
        """Yield the images that show a positive click, rendered ones where these are few."""
        limits = self._bench.config.keyframes
        point = next((click.point for click in search.clicks if click.positive), None)
        frames = [] if point is None else self._bench.keyframes.showing(point)
        search.frames = sorted(frames, key=lambda frame: frame.posed is not first)
        posed = [frame.posed for frame in search.frames]
        if first and not any(first is image for image in posed):
            posed = [first, *posed]
        yield from images_of_clicks(
            self._bench.rasterizer,
            posed,
            search.clicks,
            most=limits.views_per_click,
            least=limits.min_views,
        )

    def _is_new_to(self, object_id: int, frame: Frame) -> bool:
        """Return whether an object was clicked, is not looked for, and not seen from near here."""
        if self.is_pending(object_id) or not self._bench.objects.clicks(object_id):
            return False
        centers = self._bench.objects.view_points(object_id)
        distances_m = (centers - frame.posed.camera.center).norm(dim=-1)
        return bool((distances_m > self._bench.config.keyframes.min_distance_m).all())

    def _is_near(self, camera: Camera, frame: Frame) -> bool:
        """Return whether a camera stands and looks nearly as that of an image does."""
        limits, other = self._bench.config.keyframes, frame.posed.camera
        cos = float(camera.T_world_camera[:3, 2] @ other.T_world_camera[:3, 2])
        is_turned = cos < math.cos(math.radians(limits.min_angle_deg))
        distance_m = float((camera.center - other.center).norm())
        return distance_m < limits.min_distance_m and not is_turned
