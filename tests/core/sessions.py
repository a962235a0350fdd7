# SPDX-License-Identifier: Apache-2.0
"""A user who does everything at random, and what a session looks like to the bit: for tests."""

import hashlib
import random

import torch

from ros2_clickgs.core.editing import columns_of, turned_about
from ros2_clickgs.core.gates import Objection
from ros2_clickgs.core.geometry import rotmat_from_quat_wxyz
from ros2_clickgs.core.object_map import ObjectMap
from ros2_clickgs.core.state import Ballot, Click, State
from ros2_clickgs.core.votes import Votes
from tests.core.blobs import BLOB_COUNT, blob_camera


class StillRasterizer:
    """A map that nobody looks at: all objects are everywhere, votes depend on the camera."""

    def __init__(self, gaussians):
        self.gaussians = gaussians

    def splat(self, camera, values):
        return torch.ones(camera.height, camera.width, values.shape[1])

    def backproject(self, camera, image): ...

    def vote(self, camera, label_image, label_count):
        seed = torch.Generator().manual_seed(int(1e9 * camera.center[0].abs()))
        weights = torch.rand(len(self.gaussians), label_count, generator=seed)
        return (weights - 0.6).clamp(min=0)

    def weights(self, camera, pixels=None): ...


def blob_votes(rng: random.Random) -> Votes:
    """Return votes for one of the two blobs, some of them wrong."""
    rows = torch.arange(2 * BLOB_COUNT)
    is_one = (rows < BLOB_COUNT) == (rng.random() < 0.5)
    noise = torch.rand(
        2 * BLOB_COUNT, generator=torch.Generator().manual_seed(rng.getrandbits(32))
    )
    votes_for = (is_one & (noise < 0.9)).float() * (1 + noise)
    return Votes(votes_for=votes_for[None], votes_against=(1.5 - votes_for).clamp(min=0)[None])


def act(objects: ObjectMap, rng: random.Random) -> None:
    """Do something that a user may do in this state, chosen at random."""
    state = objects.state
    actions = [new_object] * 3 + [prune]
    actions += [refine, rename, add, see, judge, move, recolor, weigh] * 2 * bool(objects.ids)
    actions += [remove, delete] * bool(objects.ids) + [merge] * (len(objects.ids) > 1)
    actions += [take_back] * any(ballot.before for ballot in state.ballots.values())
    actions += [lambda o, _: o.undo()] * 3 * bool(state.done)
    actions += [lambda o, _: o.redo()] * 3 * bool(state.undone)
    actions += [lambda o, _: o.clear()] * (len(objects.ids) > 4)
    rng.choice(actions)(objects, rng)
    objects.touch(objects.ids[:1])


def some(objects, rng):
    return rng.choice(objects.ids)


def point(rng):
    return torch.tensor([rng.uniform(-1, 1) for _ in range(3)], dtype=torch.float64)


def new_object(objects, rng):
    found = objects.create(rng.choice(["", "mug", "Tässchen ☕"]))
    objects.replace_votes(found, blob_votes(rng), [point(rng)])
    objects.note(found, [Click(point(rng))], rng.getrandbits(60))


def refine(objects, rng):
    found = some(objects, rng)
    objects.remember(found)
    objects.replace_votes(found, blob_votes(rng), [point(rng), point(rng)])
    objects.note(found, [*objects.clicks(found), Click(point(rng), False)], 5)


def add(objects, rng):
    found = some(objects, rng)
    objects.replace_votes(found, objects.votes(found) + blob_votes(rng), [point(rng)])


def see(objects, rng):
    camera = blob_camera(rng.random())
    label_image = torch.full((camera.height, camera.width), rng.randint(1, len(objects.ids)))
    objects.integrate(camera, label_image, objects.ids)


def rename(objects, rng):
    objects.rename(some(objects, rng), f"thing {rng.random()}")


def weigh(objects, rng):
    objects.weigh(some(objects, rng), rng.choice([-1.0, 0.5, 2.0]))


def judge(objects, rng):
    rejected = {objection: rng.randrange(5) for objection in Objection}
    objects.judge(some(objects, rng), rng.random() < 0.5, rejected)


def take_back(objects, rng):
    objects.take_back(rng.choice([i for i, b in objects.state.ballots.items() if b.before]))


def remove(objects, rng):
    objects.remove(some(objects, rng))


def merge(objects, rng):
    objects.merge(*rng.sample(objects.ids, 2))


def delete(objects, rng):
    objects.delete(some(objects, rng))


def prune(objects, rng):
    rows = torch.tensor(sorted(rng.sample(range(2 * BLOB_COUNT), 20)))
    objects.hide(rows)


def recolor(objects, rng):
    objects.recolor(some(objects, rng), torch.tensor([1.0, 0.5, 0.0]), rng.random())


def move(objects, rng):
    quat = torch.nn.functional.normalize(torch.tensor([rng.gauss(0, 1) for _ in range(4)]), dim=0)
    R, shift = rotmat_from_quat_wxyz(quat.double()), point(rng)
    objects.move(some(objects, rng), turned_about(point(rng), R, rng.uniform(0.5, 2), shift))


def map_digest(state: State) -> str:
    """Return a hash of the map, to the bit."""
    columns = [*columns_of(state.gaussians).values(), state.hidden]
    return hashed(b"".join(column.numpy().tobytes() for column in columns))


def digest(state: State) -> str:
    """Return a hash of all there is in a state, to the bit."""
    parts = [map_digest(state), repr(state.next_id)]
    parts += [f"{i} {described(ballot)}" for i, ballot in state.ballots.items()]
    for entry in state.done:
        parts += [described_edit(entry.edit), described(entry.forgotten)]
        parts += [hashed(c.numpy().tobytes()) for c in entry.overwritten.values()]
    parts += [described_edit(edit) for edit in state.undone]
    return hashed("\n".join(parts).encode())


def described(ballot: Ballot | None) -> str:
    if ballot is None:
        return "none"
    clicks = [(click.point.tolist(), click.positive) for click in ballot.clicks]
    votes = hashed(ballot.votes.votes_for.numpy().tobytes())
    votes += hashed(ballot.votes.votes_against.numpy().tobytes())
    facts = (ballot.name, votes, ballot.view_points.tolist(), clicks, ballot.voted_at_ns)
    facts += (ballot.background_weight, ballot.revision, ballot.settled, ballot.rejected)
    facts += (described(ballot.before),)
    return repr(facts)


def described_edit(edit) -> str:
    return f"{edit.object_id} {edit.rows.tolist()} {edit.change}"


def hashed(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
