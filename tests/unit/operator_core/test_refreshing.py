"""A request for a refresh is served once, by a Job of its own; a release that came back asks for one itself."""

from datetime import timedelta

from search_operator.decide.refreshing import SETTLES_FOR
from search_operator.decide.rollout import rollout
from search_operator.observe.book import Book

from tests.unit.operator_core.histories import with_room
from tests.unit.operator_core.world import World


def refreshes(world: World) -> list[str]:
    """The requests that have a Job."""
    return [job.request for job in world.observe().jobs if job.component == "refresh"]


def settled() -> World:
    world = World()
    world.settle()
    world.tick(600)
    return world


def test_a_request_gets_one_job_and_is_told_as_served() -> None:
    world = settled()
    world.ask(world.now)
    world.reconcile()
    (request,) = refreshes(world)
    assert world.body["metadata"]["annotations"] == {"semanticsearch.io/refresh-requested-at": request}
    world.reconcile()
    told = world.body["status"]["refresh"]
    assert (told["servedRequest"], told["running"]) == (request, True)
    world.work("refresh")
    world.settle()
    told = world.body["status"]["refresh"]
    assert (told["running"], told["last"]["embedded"]) == (False, 2000)
    # The Job is forgotten after a week; the request stays served.
    world.delete_child(next(key for key in world.children if key[0] == "Job" and "-refresh-" in key[1]))
    assert world.reconcile().steps == ()
    world.tick(60)
    world.ask(world.now)
    world.reconcile()
    assert refreshes(world) != [request]
    assert len(refreshes(world)) == 1


def test_a_request_of_the_spec_is_one_too_and_one_for_later_waits() -> None:
    world = settled()
    world.set_spec(refresh={"requestedAt": "2026-11-22T05:00:00Z"})
    world.reconcile()
    assert refreshes(world) == []
    world.tick(7200)
    world.reconcile()
    assert refreshes(world) == ["2026-11-22T05:00:00Z"]


def test_what_was_asked_for_before_the_release_became_active_is_in_it_already() -> None:
    world = World()
    world.ask(world.now)
    world.settle()
    assert refreshes(world) == []


def test_with_full_rebuilds_a_request_is_a_release_and_no_job() -> None:
    world = with_room()
    world.set_spec(refresh={"mode": "Full"})
    world.settle()
    first = world.book.active
    world.tick(600)
    world.ask(world.now)
    world.settle()
    book: Book = world.book
    assert first is not None
    assert book.active is not None
    assert book.previous is not None
    assert (book.previous.release, book.active.record.rebuild != "") == (first.release, True)
    assert refreshes(world) == []
    cron = world.children["CronJob", "products-refresh"]["spec"]
    assert cron["suspend"] is True
    config = world.children["ConfigMap", f"products-{book.active.release}"]["data"]["release.json"]
    assert '"reuse":[]' in config or first.release.replace("-", "_") in config
    # It is the wish from now on: nothing is rebuilt again.
    assert rollout(world.observe()).wanted.release == book.active.release


def test_a_release_that_came_back_without_a_catch_up_is_refreshed_when_it_has_settled() -> None:
    world = with_room()
    world.settle()
    world.set_spec(encoder={"precision": "fp16"})
    world.settle()
    kept = world.book.previous
    assert kept is not None
    world.tick(timedelta(hours=1).total_seconds())
    world.set_spec(rollout={"rollbackTo": kept.release})
    while world.book.active is None or world.book.active.release != kept.release:
        world.reconcile()
        world.progress()
    world.now = world.book.active.since + SETTLES_FOR - timedelta(seconds=1)
    world.reconcile()
    assert refreshes(world) == []
    world.tick(1)
    world.settle()
    assert (world.book.active.release, world.book.active.by) == (kept.release, "Rollback")
    (job,) = [j for j in world.observe().jobs if j.component == "refresh"]
    assert (job.release, job.succeeded) == (kept.release, True)


def test_a_refresh_of_a_release_that_has_gone_is_stopped() -> None:
    """Its collection is dropped, so it would fail on for ever, and a CronJob's would hold up those that are due."""
    world = with_room()
    world.settle()
    cron = world.children["CronJob", "products-refresh"]
    name = "products-refresh-29000000"
    active = world.book.active
    assert active is not None
    labels = {
        "app.kubernetes.io/component": "refresh",
        "semanticsearch.io/index": "products",
        "semanticsearch.io/release": active.release,
    }
    owner = {
        "kind": "CronJob",
        "name": "products-refresh",
        "uid": cron["metadata"]["uid"],
        "controller": True,
    }
    world.children["Job", name] = {
        "kind": "Job",
        "metadata": {
            "name": name,
            "uid": "made-by-the-cron-job",
            "labels": labels,
            "ownerReferences": [owner],
            "creationTimestamp": "2026-11-22T03:00:00Z",
        },
        "status": {"active": 1},
    }
    assert world.reconcile().steps == ()
    world.set_spec(encoder={"precision": "fp16"}, rollout={"retain": "1h"})
    while world.book.previous is None:
        world.reconcile()
        world.ready_pods("encoder")
        world.load()
        for component in ("build", "catchup", "verify"):
            world.work(component)
        world.tick()
    assert ("Job", name) in world.children
    world.tick(3601)
    world.settle()
    assert ("Job", name) not in world.children
