"""A pipeline with ray.wait: bounded work in flight, results in the order of their ends, and timeouts."""

import time

import ray

ray.init(num_cpus=4)


@ray.remote
def load(number):
    time.sleep(0.02 * (number % 3))
    return {"number": number, "text": "x" * number}


@ray.remote
def measure(document):
    return document["number"], len(document["text"])


@ray.remote(num_cpus=0)
def forever():
    time.sleep(3600)


MOST = 4
in_flight, results, most = [], [], 0
for number in range(12):
    if len(in_flight) >= MOST:
        done, in_flight = ray.wait(in_flight, num_returns=1)
        results += ray.get(done)
    in_flight.append(measure.remote(load.remote(number)))
    most = max(most, len(in_flight))
results += ray.get(in_flight)
print("results:", sorted(results))
print("most in flight:", most)

slow = forever.remote()
fast = [load.remote(number) for number in range(3)]
ready, rest = ray.wait([slow, *fast], num_returns=3, timeout=30)
print("ready:", sorted(ray.get(ref)["number"] for ref in ready), rest == [slow])
print("nothing in time:", ray.wait([slow], timeout=0.1) == ([], [slow]))
try:
    ray.get(slow, timeout=0.1)
except ray.exceptions.GetTimeoutError as error:
    print("timeout:", type(error).__name__, isinstance(error, TimeoutError))
for wrong in ([slow, slow], slow, [1]):
    try:
        ray.wait(wrong)
    except (ValueError, TypeError) as error:
        print("refused:", type(error).__name__)
try:
    ray.wait(fast, num_returns=4)
except ValueError as error:
    print("too many:", type(error).__name__)
print("empty:", ray.get([]))
ray.cancel(slow, force=True)
