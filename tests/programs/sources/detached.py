"""Detached actors and namespaces: who finds which actor, and what outlives its creator."""

import ray

ray.init(num_cpus=4, namespace="shop")


@ray.remote
class Store:
    def __init__(self):
        self.items = {}

    def set(self, key, value):
        self.items[key] = value
        return len(self.items)

    def get(self, key):
        return self.items.get(key)


@ray.remote
class Maker:
    def make(self, name, detached):
        lifetime = "detached" if detached else None
        self.made = Store.options(name=name, lifetime=lifetime, num_cpus=0).remote()
        return ray.get(self.made.set.remote("by", "maker"))


def lookup(name, namespace=None):
    try:
        return ray.get(ray.get_actor(name, namespace=namespace).get.remote("by"))
    except (ValueError, ray.exceptions.RayActorError):
        return "not found"


Store.options(name="main", lifetime="detached").remote()
print("a detached actor has no handle:", ray.get(ray.get_actor("main").set.remote("by", "driver")))
print("found:", lookup("main"), lookup("main", "shop"), lookup("main", "other"))

other = Store.options(name="main", namespace="other").remote()
ray.get(other.set.remote("by", "other"))
print("same name, other namespace:", lookup("main"), lookup("main", "other"))

maker = Maker.remote()
print("made:", ray.get([maker.make.remote("kept", True), maker.make.remote("lost", False)]))
print("names:", sorted(ray.util.list_named_actors()))
everywhere = ray.util.list_named_actors(all_namespaces=True)
print("everywhere:", sorted((row["namespace"], row["name"]) for row in everywhere))
ray.kill(maker)
while lookup("lost") != "not found":
    pass
print("after the maker:", lookup("kept"), lookup("lost"))

again = Store.options(name="main", get_if_exists=True).remote()
print("get_if_exists:", ray.get(again.get.remote("by")))
fresh = Store.options(name="fresh", get_if_exists=True, lifetime="detached").remote()
print("made now:", ray.get(fresh.get.remote("by")))
for wrong in ({"get_if_exists": True}, {"lifetime": "forever"}, {"lifetime": "detached", "name": ""}):
    try:
        Store.options(**wrong).remote()
    except (ValueError, TypeError) as error:
        print("refused:", type(error).__name__)
for name in ("main", "kept", "fresh"):
    ray.kill(ray.get_actor(name))
print("left:", sorted(ray.util.list_named_actors()))
