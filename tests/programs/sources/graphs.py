"""Graphs of calls: bind, execute, inputs, actors in a graph, and several outputs."""

import ray
from ray.dag import InputNode, MultiOutputNode

ray.init(num_cpus=4)


@ray.remote
def add(left, right):
    return left + right


@ray.remote
def double(value):
    return value * 2


@ray.remote
class Accumulator:
    def __init__(self, start):
        self.total = start

    def add(self, value):
        self.total += value
        return self.total

    def describe(self, label):
        return f"{label}: {self.total}"


graph = add.bind(double.bind(3), 4)
print("constant:", ray.get(graph.execute()))
diamond = double.bind(5)
print("diamond:", ray.get(add.bind(diamond, diamond).execute()))

with InputNode() as given:
    graph = add.bind(double.bind(given), given)
print("input:", [ray.get(graph.execute(value)) for value in (1, 2, 10)])

with InputNode() as given:
    graph = add.bind(given[0], double.bind(given["weight"]))
print("several inputs:", ray.get(graph.execute(7, weight=4)))
with InputNode() as given:
    graph = add.bind(given.left, given.right)
print("attributes:", ray.get(graph.execute(left=1, right=2)))

accumulator = Accumulator.bind(100)
print("class node:", ray.get(accumulator.add.bind(double.bind(5)).execute()))

actor = Accumulator.remote(0)
with InputNode() as given:
    graph = actor.add.bind(given)
print("a living actor:", [ray.get(graph.execute(value)) for value in (1, 2, 3)])
print("its state:", ray.get(actor.describe.remote("total")))

with InputNode() as given:
    graph = MultiOutputNode([add.bind(given, 1), double.bind(given)])
print("several outputs:", ray.get(graph.execute(8)))
print("options:", ray.get(add.options(num_cpus=0.5).bind(1, 1).execute()))
