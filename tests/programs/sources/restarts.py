"""Restarts: crashes with and without restarts, retries of calls and tasks, and ordinary exits."""

import os
import time

import ray

ray.init(num_cpus=4, log_to_driver=False)


@ray.remote(max_restarts=2, max_task_retries=-1)
class Fragile:
    def __init__(self, directory):
        self.calls = 0
        self.directory = directory

    def increment(self):
        self.calls += 1
        return self.calls

    def crash_once(self, name):
        path = os.path.join(self.directory, name)
        if not os.path.exists(path):
            open(path, "w").close()
            os._exit(1)
        return f"{name} after a restart"

    def restarted(self):
        return ray.get_runtime_context().was_current_actor_reconstructed

    def leave(self):
        ray.actor.exit_actor()


@ray.remote
class Mortal:
    def crash(self):
        os._exit(3)

    def work(self):
        return "works"


def temporary():
    import tempfile

    return tempfile.mkdtemp()


actor = Fragile.remote(temporary())
print("before:", ray.get([actor.increment.remote() for _ in range(3)]), ray.get(actor.restarted.remote()))
print(ray.get(actor.crash_once.remote("first")))
print("state is fresh:", ray.get(actor.increment.remote()), ray.get(actor.restarted.remote()))
print(ray.get(actor.crash_once.remote("second")))
try:
    ray.get(actor.crash_once.remote("third"))
except ray.exceptions.RayActorError as error:
    print("no restart is left:", type(error).__name__)

mortal = Mortal.remote()
print(ray.get(mortal.work.remote()))
try:
    ray.get(mortal.crash.remote())
except ray.exceptions.ActorDiedError as error:
    print("crashed:", isinstance(error, ray.exceptions.RayActorError))
try:
    ray.get(mortal.work.remote())
except ray.exceptions.ActorDiedError as error:
    print("still dead:", type(error).__name__)

leaver = Fragile.remote(temporary())
try:
    ray.get(leaver.leave.remote())
except ray.exceptions.RayActorError:
    print("an exit is no crash: it is not restarted")
time.sleep(0.2)
try:
    ray.get(leaver.increment.remote())
except ray.exceptions.RayActorError as error:
    print("after the exit:", type(error).__name__)


@ray.remote(max_retries=2)
def crash_once(path):
    if not os.path.exists(path):
        open(path, "w").close()
        os._exit(1)
    return "the task was run again"


print(ray.get(crash_once.remote(os.path.join(temporary(), "task"))))
