"""The part of a script that takes each kind of object through an actor and a task. See `test_main_kinds`."""

ROUTES = """
@ray.remote
class Holder:
    def __init__(self, use):
        self.use, self.made = use, use()

    def again(self):
        return self.use()

    def first(self):
        return self.made

    def echo(self, value):
        self.made = value
        return value


@ray.remote
def run(use):
    return use()


def outcome(function):
    try:
        return function()
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[-1]}"


def is_same(found, value):
    return type(found) is type(value) and found == value or f"{found!r} of {type(found)}, not {value!r}"


def tell(name, use):
    "Say whether `use()` is the same here, in an actor's constructor and method, and in a task."
    here = use()
    holder = Holder.remote(use)
    for place, ref in [("constructor", holder.first), ("method", holder.again)]:
        say(name, place, outcome(lambda: is_same(ray.get(ref.remote()), here)))
    say(name, "task", outcome(lambda: is_same(ray.get(run.remote(use)), here)))


def tell_value(name, value, is_right=is_same):
    "Say whether a value is the same after its way to an actor, as its attribute, and back."
    holder = Holder.remote(int)
    say(name, "argument", outcome(lambda: is_right(ray.get(holder.echo.remote(value)), value)))
    say(name, "attribute", outcome(lambda: is_right(ray.get(holder.first.remote()), value)))
"""
