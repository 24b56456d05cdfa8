"""A tree of actors: each node creates its children, passes work down, and gathers the results."""

import ray

ray.init(num_cpus=4)


@ray.remote(num_cpus=0)
class Node:
    def __init__(self, path, depth, width):
        self.path = path
        self.children = [Node.remote(f"{path}.{index}", depth - 1, width) for index in range(width if depth else 0)]

    def count(self):
        return 1 + sum(ray.get([child.count.remote() for child in self.children]))

    def paths(self):
        below = ray.get([child.paths.remote() for child in self.children])
        return [self.path, *(path for paths in below for path in paths)]

    def sum_leaves(self, numbers):
        if not self.children:
            return sum(numbers)
        step = len(self.children)
        parts = [child.sum_leaves.remote(numbers[index::step]) for index, child in enumerate(self.children)]
        return sum(ray.get(parts))

    def leaf(self):
        return ray.get(self.children[0].leaf.remote()) if self.children else self

    def first_leaf(self):
        return self.children[0].first_leaf.remote() if self.children else self.path

    def fail(self):
        if self.children:
            return ray.get(self.children[-1].fail.remote())
        raise RuntimeError(f"leaf {self.path}")


root = Node.remote("r", 3, 2)
print("nodes:", ray.get(root.count.remote()))
print("paths:", ray.get(root.paths.remote()))
print("sum:", ray.get(root.sum_leaves.remote(list(range(100)))))
ref = root.first_leaf.remote()
hops = 0
while isinstance(ref, ray.ObjectRef):
    ref = ray.get(ref)
    hops += 1
print("first leaf:", ref, "after", hops, "references")
try:
    ray.get(root.fail.remote())
except RuntimeError as error:
    print("error of a leaf:", str(error).strip().splitlines()[-1])
