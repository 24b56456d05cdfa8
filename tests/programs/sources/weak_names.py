"""Names do not keep actors: the end of an actor whose last strong handle is gone, and the name that is free again."""

import gc
import time

import ray

ray.init(num_cpus=4)


@ray.remote(num_cpus=0)
class Session:
    def __init__(self, user):
        self.user = user

    def who(self):
        return self.user

    def me(self):
        return ray.get_runtime_context().current_actor


@ray.remote(num_cpus=0)
class Registry:
    def __init__(self):
        self.known = {}

    def register(self, name, handles):
        self.known[name] = handles[0]

    def ask(self, name):
        try:
            return ray.get(self.known[name].who.remote())
        except ray.exceptions.ActorDiedError:
            return "dead"

    def forget(self, name):
        del self.known[name]


def await_free(name):
    while True:
        try:
            ray.get_actor(name)
        except ValueError:
            return True
        time.sleep(0.02)


registry = Registry.remote()
first = Session.options(name="session").remote("ada")
ray.get(registry.register.remote("weak", [ray.get_actor("session")]))
print("asked:", ray.get(registry.ask.remote("weak")))
own = ray.get(first.me.remote())
print("its own handle:", own == first, ray.get(own.who.remote()))
del first
gc.collect()
print("free:", await_free("session"), ray.get(registry.ask.remote("weak")))
try:
    ray.get(own.who.remote())
except ray.exceptions.ActorDiedError:
    print("its own handle did not keep it")

second = Session.options(name="session").remote("bob")
ray.get(registry.register.remote("strong", [second]))
del second
gc.collect()
print("kept by the registry:", ray.get(registry.ask.remote("strong")), ray.get(ray.get_actor("session").who.remote()))
ray.get(registry.forget.remote("strong"))
print("free again:", await_free("session"))
