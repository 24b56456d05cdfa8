"""runtime_env with environment variables: of the session, of actors and of tasks, and who inherits them."""

import os

import ray

ray.init(num_cpus=4, runtime_env={"env_vars": {"STAGE": "session", "COMMON": "yes"}})


def read(*names):
    return [os.environ.get(name) for name in names]


@ray.remote
class Reader:
    def read(self, *names):
        return read(*names)

    def child(self, *names):
        return ray.get(Reader.remote().read.remote(*names))


@ray.remote
def task(*names):
    return read(*names)


print("driver:", read("STAGE"))
plain = Reader.remote()
print("plain actor:", ray.get(plain.read.remote("STAGE", "COMMON")))
own = Reader.options(runtime_env={"env_vars": {"STAGE": "actor", "EXTRA": "1"}}).remote()
print("own variables:", ray.get(own.read.remote("STAGE", "COMMON", "EXTRA")))
print("its child:", ray.get(own.child.remote("STAGE", "EXTRA")))
print("task:", ray.get(task.remote("STAGE")))
special = task.options(runtime_env={"env_vars": {"STAGE": "task"}})
print("task with its own:", ray.get(special.remote("STAGE", "COMMON")))
print("task again:", ray.get(task.remote("STAGE")))
try:
    Reader.options(runtime_env={"env_vars": {"NUMBER": 1}}).remote()
except TypeError as error:
    print("a number:", type(error).__name__)
