"""Classes and functions made remote in all their forms: inheritance, statics, options, closures and defaults."""

import functools

import ray

ray.init(num_cpus=4)
OFFSET = 7


class Base:
    kind = "base"

    def __init__(self, value):
        self.value = value

    def describe(self):
        return f"{self.kind} {self.value}"

    @staticmethod
    def twice(value):
        return 2 * value


class Derived(Base):
    kind = "derived"

    def __init__(self, value, *more, scale=1):
        super().__init__(value * scale)
        self.more = more

    def describe(self):
        return f"{super().describe()} {self.more}"

    @classmethod
    def made(cls):
        return cls.kind

    @property
    def size(self):
        return len(self.more)

    def read_size(self):
        return self.size


RemoteBase, RemoteDerived = ray.remote(Base), ray.remote(num_cpus=0)(Derived)
base, derived = RemoteBase.remote(1), RemoteDerived.remote(2, 3, 4, scale=10)
print(ray.get([base.describe.remote(), derived.describe.remote()]))
print(ray.get([derived.twice.remote(21), derived.made.remote(), derived.read_size.remote()]))


def add(left, right=OFFSET, *rest, factor=1):
    return (left + right + sum(rest)) * factor


remote_add = ray.remote(add)
print(ray.get([remote_add.remote(1), remote_add.remote(1, 2, 3), remote_add.remote(1, factor=3)]))
print("options:", ray.get(remote_add.options(num_cpus=0.5, name="sum").remote(1, 1)))


@ray.remote(num_returns=2)
def divide(value, by):
    return divmod(value, by)


quotient, rest = divide.remote(17, 5)
print("two results:", ray.get(quotient), ray.get(rest))
print("none:", ray.get(divide.options(num_returns=1).remote(9, 4)))


def make(scale):
    @ray.remote
    def scaled(value):
        return value * scale

    return scaled


print("closures:", ray.get([make(scale).remote(5) for scale in (1, 2, 3)]))
print("partial:", ray.get(ray.remote(lambda value: functools.partial(add, factor=value)(1)).remote(4)))
print("__ray_call__:", ray.get(base.__ray_call__.remote(lambda self, more: self.value + more, 5)))
try:
    remote_add.options(num_cpu=1)
except ValueError as error:
    print("unknown option:", type(error).__name__)
try:
    base.missing.remote()
except AttributeError as error:
    print("no method:", str(error).split(":")[0])
