"""Large numpy arrays in the object store: shared, read-only, nested and written by many tasks."""

import numpy as np
import ray

ray.init(num_cpus=4)

array = np.arange(1_000_000, dtype=np.float64)
ref = ray.put(array)


@ray.remote
def part_sum(values, first, last):
    return float(values[first:last].sum())


@ray.remote
def scale(values, factor):
    return values * factor


@ray.remote
def write(values):
    values[0] = 1.0


@ray.remote
def inside(box):
    return type(box["ref"]).__name__, float(ray.get(box["ref"])[-1])


parts = [part_sum.remote(ref, first, first + 250_000) for first in range(0, 1_000_000, 250_000)]
print("sums:", ray.get(parts), sum(ray.get(parts)) == array.sum())
scaled = scale.remote(ref, 2.0)
print("scaled:", ray.get(part_sum.remote(scaled, 0, 10)))
print("a reference in a value:", ray.get(inside.remote({"ref": ref})))

got = ray.get(ref)
print("writeable:", got.flags.writeable, "equal:", bool(np.array_equal(got, array)))
try:
    got[0] = 5.0
except ValueError as error:
    print("driver:", error)
try:
    ray.get(write.remote(ref))
except ValueError as error:
    print("task:", type(error).__name__, isinstance(error, ray.exceptions.RayTaskError))
copy = got.copy()
copy[0] = 5.0
print("a copy:", copy[0], got[0])

array[0] = 7.0
print("the original changes, the object does not:", float(ray.get(ref)[0]))
mixed = ray.get(ray.put({"ints": np.ones((3, 4), dtype=np.int32), "text": ["a", "b"], "none": None}))
print("mixed:", mixed["ints"].shape, mixed["ints"].dtype, mixed["text"], mixed["none"])
try:
    ray.put(ref)
except TypeError as error:
    print("put of a reference:", type(error).__name__)
print("fortran:", ray.get(ray.put(np.asfortranarray(np.ones((2, 3))))).flags.f_contiguous)
