"""Exceptions: their types, causes and texts, from tasks, methods, constructors and arguments."""

import ray

ray.init(num_cpus=4)


class TooSmall(Exception):
    def __init__(self, value, limit):
        super().__init__(value, limit)
        self.value = value
        self.limit = limit

    def __str__(self):
        return f"{self.value} is below {self.limit}"


@ray.remote
class Checker:
    def __init__(self, limit):
        if limit < 0:
            raise ValueError("the limit is negative")
        self.limit = limit

    def check(self, value):
        if value < self.limit:
            raise TooSmall(value, self.limit)
        return value

    def divide(self, value):
        return value / 0

    def chain(self):
        try:
            return {}["missing"]
        except KeyError as error:
            raise RuntimeError("chained") from error


@ray.remote
def pass_on(value):
    return value


@ray.remote
def outer(checker):
    return ray.get(checker.divide.remote(1))


checker = Checker.remote(5)
print("fine:", ray.get(checker.check.remote(6)))
try:
    ray.get(checker.check.remote(3))
except TooSmall as error:
    print("own class:", isinstance(error, ray.exceptions.RayTaskError), type(error.cause).__name__)
    print("attributes:", error.cause.value, error.cause.limit)
try:
    ray.get(checker.divide.remote(1))
except ZeroDivisionError as error:
    print("built-in:", type(error).__name__, "division by zero" in str(error))
try:
    ray.get(pass_on.remote(checker.check.remote(1)))
except TooSmall as error:
    print("through an argument:", type(error.cause).__name__)
try:
    ray.get(outer.remote(checker))
except ZeroDivisionError as error:
    print("nested:", isinstance(error, ray.exceptions.RayError))
try:
    ray.get(checker.chain.remote())
except RuntimeError as error:
    print("chained:", "KeyError: 'missing'" in str(error))
print("the actor lives:", ray.get(checker.check.remote(7)))

broken = Checker.remote(-1)
try:
    ray.get(broken.check.remote(1))
except ray.exceptions.ActorDiedError as error:
    print("constructor:", "the limit is negative" in str(error))
try:
    ray.get([checker.check.remote(6), checker.check.remote(1), checker.divide.remote(1)])
except TooSmall:
    print("the first error of a list")
try:
    pass_on.remote(1, 2)
except TypeError as error:
    print("arguments:", type(error).__name__)
try:
    ray.get(pass_on.remote(__import__("threading").Lock()))
except TypeError as error:
    print("not serializable:", "lock" in str(error))
try:
    pass_on(1)
except TypeError as error:
    print("direct call:", str(error).split(".")[0])
try:
    Checker(5)
except TypeError as error:
    print("direct construction:", str(error).split(".")[0])
