# SPDX-License-Identifier: Apache-2.0
"""An object is looked at until it settles: first where it was clicked, then where the map says."""

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ros2_clickgs.core.gates import objection_to_mask, objection_to_view, sight_of
from ros2_clickgs.core.guidance import guided_prompt, predict
from ros2_clickgs.core.object_map import ObjectMap
from ros2_clickgs.core.posed_image import PosedImage, prompt_of, rendered_image, shown_clicks
from ros2_clickgs.core.segmenter import Mask, Prompt, Segmenter
from ros2_clickgs.core.sightings import Sighting, drop_contradicting, objections, tally
from ros2_clickgs.core.state import Click
from ros2_clickgs.core.types import BACKGROUND, Camera
from ros2_clickgs.core.views import Z_UP, covering_cameras
from ros2_clickgs.core.votes import Votes, decide_labels
from ros2_clickgs.errors import ClickGSError, NotFoundError

SETTLED = 0.02
"""Share of an object's Gaussians that a round changes at most once the object is settled."""
VIEWS_PER_ROUND = 2
"""Views that are rendered between two looks at what they changed."""
Step = int
"""Id of the object that has changed; 0 where only work was done that nobody need be told of."""


class Look:
    """One object and all images that it was looked for in."""

    def __init__(
        self,
        objects: ObjectMap,
        segmenter: Segmenter,
        *,
        object_id: int = 0,
        name: str = "",
        up: Float[Tensor, "3"] = Z_UP,
    ) -> None:
        """Begin to look for an object.

        Args:
            objects: the map; the object is added to it, or replaced in it.
            segmenter: answers prompts with masks.
            object_id: object to find anew, 0 for a new one.
            name: what to call a new object.
            up: direction that is up in rendered views.
        """
        self.object_id, self.sightings = object_id, list[Sighting]()
        self._objects, self._segmenter, self._name = objects, segmenter, name
        self._up = up
        self._settled = False
        self._rasterizer = objects.rasterizer
        self._own, self._own_count = Votes.none(1, self._count), 0
        self._kept: Votes | None = None
        """What these images said when the object was last put on votes, and all of its votes."""
        self._rest, self._rest_points = Votes.none(1, self._count), list[Tensor]()
        """What others have said of the object: masks from elsewhere, live images."""

    def find(
        self, images: Iterable[PosedImage], clicks: list[Click], rendered_views: int = 0
    ) -> Iterator[Step]:
        """Find the thing under the clicks; yield after every step, other work may be done then.

        The first image that shows a positive click gives the first answer. All that show one are
        asked for a mask; those that contradict the others are dropped; then the object found so
        far prompts every image once more. Last come views rendered around it, the sides first that
        nobody has seen, until they no longer change it.

        Args:
            images: views to look in, the most telling first.
            clicks: what is and what is not the thing.
            rendered_views: how many views may be rendered.

        Raises:
            ClickGSError: there is no positive click, or no image shows one on a surface.
            NotFoundError: nothing was found under the clicks.
        """
        if not any(click.positive for click in clicks):
            raise ClickGSError("no positive click given; click on the thing first")
        if self.object_id:
            self._objects.state.ballot(self.object_id)
        yield from self._while_there(self._find(images, clicks, rendered_views))

    def refine(
        self, clicks: list[Click], more: list[Click], rendered_views: int = 0
    ) -> Iterator[Step]:
        """Take further clicks into account; yield after every step, as `find` does.

        At once those images are asked again that show one of them, of which the segmenter knows
        all but the prompt. What the others said without them counts only where these see nothing,
        until the object that results has prompted them.

        Args:
            clicks: all clicks on the object.
            more: those that are new.
            rendered_views: how many views may be rendered.
        """
        self._heed_others()
        yield from self._while_there(self._refine(clicks, more, rendered_views))

    def shows_any(self, clicks: list[Click]) -> bool:
        """Tell whether any of the images shows one of the clicks."""
        return any(self._shows(sighting, clicks) for sighting in self.sightings)

    @property
    def is_outdated(self) -> bool:
        """Whether the object is gone, or the map was edited since."""
        is_gone = bool(self._kept) and self.object_id not in self._objects.ids
        return is_gone or self._objects.rasterizer is not self._rasterizer

    @property
    def stands(self) -> bool:
        """Whether the object is on the votes that it was put on here."""
        is_there = self.object_id in self._objects.ids
        return is_there and self._objects.votes(self.object_id) is self._kept

    def _find(
        self, images: Iterable[PosedImage], clicks: list[Click], rendered_views: int
    ) -> Iterator[Step]:
        is_new, count = not self.object_id, 0
        for image in images:
            count += 1
            if prompt := prompt_of(self._rasterizer, image, clicks):
                self.sightings.append(Sighting(image))
                self._ask(self.sightings[-1], prompt)
                is_first = is_new and not self.object_id and bool(self._found().any())
                yield self._put() if is_first else 0
        if not self.sightings:
            raise ClickGSError(
                f"none of {count} images shows a surface at the clicked point; "
                "click on a surface of the map, or move a camera to see it"
            )
        drop_contradicting(self.sightings, self._count)
        yield from self._guide_all(self.sightings, clicks)
        if not self._found().any():
            raise NotFoundError(
                "Gaussians under the clicks", len(clicks), "none that the masks agree on"
            )
        yield self._put()
        yield from self._cover(rendered_views)

    def _refine(
        self, clicks: list[Click], more: list[Click], rendered_views: int
    ) -> Iterator[Step]:
        showing = [sighting for sighting in self.sightings if self._shows(sighting, more)]
        others = [sighting for sighting in self.sightings if sighting not in showing]
        for _ in self._guide_all(showing, clicks):
            pass
        newest = tally(showing, self._count)
        for sighting in others:
            sighting.defer_to(newest)
        yield self._put()
        before = self._members()
        yield from self._guide_all(others, clicks)
        self._vote()
        yield self._judged(bool(others) and change(before, self._members()) <= SETTLED)
        yield from self._cover(rendered_views)

    def _guide_all(self, sightings: list[Sighting], clicks: list[Click]) -> Iterator[Step]:
        """Let the object as it is now prompt images that have been asked before."""
        members = self._found()
        for sighting in sightings:
            self._guide(sighting, members, clicks)
            yield 0
        drop_contradicting(sightings, self._count)

    def _cover(self, rendered_views: int) -> Iterator[Step]:
        """Render views of sides that nobody has seen until they no longer change the object."""
        while rendered_views > 0 and (before := self._members()).any():
            count, added = min(VIEWS_PER_ROUND, rendered_views), list[Sighting]()
            cameras = self._next_cameras(before, count)
            for camera in cameras:
                added.append(Sighting(rendered_image(self._rasterizer, camera)))
                self._guide(added[-1], before, [])
                yield 0
            self.sightings += added
            self._vote()
            has_voted = any(sighting.counts for sighting in added)
            yield self._judged(has_voted and change(before, self._members()) <= SETTLED)
            rendered_views = rendered_views - count if cameras and not self._settled else 0

    def _next_cameras(self, members: Bool[Tensor, " N"], count: int) -> list[Camera]:
        votes = self._objects.votes(self.object_id)
        centers = torch.stack([sighting.image.camera.center for sighting in self.sightings])
        return covering_cameras(
            self._rasterizer, members, votes, centers, up=self._up, count=count
        )

    def _guide(self, sighting: Sighting, members: Bool[Tensor, " N"], clicks: list[Click]) -> None:
        """Let the map prompt an image; where it is not clicked, gates decide whether it votes."""
        image, rasterizer = sighting.image, self._rasterizer
        labels = self._objects.labels()
        others = (labels > BACKGROUND) & (labels != self.object_id)
        prediction = predict(rasterizer, image.camera, members, self._votes(), others)
        clicked = shown_clicks(rasterizer, image, clicks) if clicks else None
        if clicked is None:
            means = rasterizer.gaussians.means[members]
            sight = sight_of(image.camera, means, prediction.soft, image.depth)
            sighting.objection = objection_to_view(sight)
            if sighting.objection:
                return
        mask = self._ask(sighting, guided_prompt(prediction, clicked))
        if clicked is None:
            votes = sighting.votes(self._count)
            sighting.objection = objection_to_mask(mask.score, votes, self._votes(but=sighting))

    def _ask(self, sighting: Sighting, prompt: Prompt) -> Mask:
        image = sighting.image
        self._segmenter.set_image(image.image, image.depth)
        mask = self._segmenter.predict([prompt])[0]
        sighting.take(self._rasterizer, mask.pixels)
        return mask

    def _shows(self, sighting: Sighting, clicks: list[Click]) -> bool:
        if not clicks:
            return False
        return shown_clicks(self._rasterizer, sighting.image, clicks) is not None

    @property
    def _count(self) -> int:
        return len(self._rasterizer.gaussians)

    def _votes(self, but: Sighting | None = None) -> Votes:
        """Return what has been said of the object, but by one image."""
        return self._rest + tally((s for s in self.sightings if s is not but), self._count)

    def _found(self) -> Bool[Tensor, " N"]:
        """Return the Gaussians that win the vote, whosever they are."""
        return decide_labels(self._votes(), self._objects.background_weight) > BACKGROUND

    def _members(self) -> Bool[Tensor, " N"]:
        return self._objects.labels() == self.object_id

    def _vote(self) -> None:
        """Put the object on the votes that count."""
        self.object_id = self.object_id or self._objects.create(self._name)
        self._own = tally(self.sightings, self._count)
        points = [s.image.camera.center for s in self.sightings if s.counts]
        self._own_count = len(points)
        self._objects.replace_votes(
            self.object_id, self._rest + self._own, [*self._rest_points, *points]
        )
        self._kept = self._objects.votes(self.object_id)

    def _judged(self, settled: bool) -> int:
        """Write down how the object stands; return its id."""
        self._settled = settled
        self._objects.judge(self.object_id, settled, objections(self.sightings))
        return self.object_id

    def _put(self) -> int:
        self._vote()
        return self._judged(settled=False)

    def _while_there(self, steps: Iterator[Step]) -> Iterator[Step]:
        """Pass steps on as long as the object is there and its Gaussians are where they were."""
        for step in steps:
            yield step
            if self.is_outdated:
                return
            self._heed_others()

    def _heed_others(self) -> None:
        """Keep what others have said of the object since it was last put on its votes."""
        votes = self._objects.votes(self.object_id) if self._kept else None
        if votes is not self._kept:
            points = list(self._objects.view_points(self.object_id))
            self._rest_points += points[len(self._rest_points) + self._own_count :]
            self._rest, self._kept = votes - self._own, votes


def change(before: Bool[Tensor, " N"], after: Bool[Tensor, " N"]) -> float:
    """Return how many Gaussians changed sides, as a share of those of either."""
    return float((before ^ after).sum() / (before | after).sum().clamp(min=1))
