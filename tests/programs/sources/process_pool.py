"""multiprocessing.Pool on actors: maps, asynchronous results, callbacks, initializers and errors."""

import os

import ray
from ray.util.multiprocessing import Pool
from ray.util.multiprocessing import TimeoutError as PoolTimeoutError

ray.init(num_cpus=4)


def square(value):
    return value * value


def power(base, exponent):
    return base**exponent


def fail(value):
    if value == 3:
        raise ValueError("three")
    return value


def set_offset(value):
    os.environ["OFFSET"] = str(value)


def shifted(value):
    return value + int(os.environ["OFFSET"])


def nap(seconds):
    import time

    time.sleep(seconds)


with Pool(processes=2) as pool:
    print("map:", pool.map(square, range(6)))
    print("starmap:", pool.starmap(power, [(2, 3), (3, 2), (10, 0)]))
    print("apply:", pool.apply(power, (2,), {"exponent": 5}))
    result = pool.apply_async(square, (9,))
    print("apply_async:", result.get(timeout=30), result.ready(), result.successful())
    print("imap:", list(pool.imap(square, range(5), chunksize=2)))
    print("imap_unordered:", sorted(pool.imap_unordered(square, range(5))))
    seen = []
    pool.map_async(square, [1, 2, 3], callback=seen.append).get(timeout=30)
    print("callback:", [sorted(values) for values in seen])
    try:
        pool.map(fail, range(5))
    except ValueError as error:
        print("error:", type(error).__name__)
    failed = pool.apply_async(fail, (3,))
    failed.wait(timeout=30)
    print("successful:", failed.successful())
    try:
        pool.apply_async(nap, (60,)).get(timeout=0.2)
    except PoolTimeoutError:
        print("TimeoutError")
    pool.terminate()

with Pool(2, initializer=set_offset, initargs=(100,)) as pool:
    print("initializer:", pool.map(shifted, range(3)))
    pool.close()
    pool.join()
    try:
        pool.map(square, [1])
    except ValueError as error:
        print("closed:", "Pool not running" in str(error))
