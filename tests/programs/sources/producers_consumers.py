"""A bounded queue between producers and consumers, with its errors."""

import ray
from ray.util.queue import Empty, Full, Queue

ray.init(num_cpus=4)


@ray.remote(num_cpus=0.5)
def produce(queue, first, count):
    for number in range(first, first + count):
        queue.put(number)
    return count


@ray.remote(num_cpus=0.5)
class Consumer:
    def __init__(self, queue):
        self.queue = queue

    def consume(self):
        taken = []
        while True:
            item = self.queue.get()
            if item is None:
                return taken
            taken.append(item)


queue = Queue(maxsize=5)
consumers = [Consumer.remote(queue) for _ in range(2)]
taken = [consumer.consume.remote() for consumer in consumers]
print("produced:", ray.get([produce.remote(queue, first, 20) for first in (0, 100, 200)]))
for _ in consumers:
    queue.put(None)
items = sorted(item for part in ray.get(taken) for item in part)
print("consumed:", len(items), sum(items), items[:3], items[-3:])
print("rest:", queue.qsize(), queue.empty(), queue.full())

queue.put_nowait_batch([1, 2, 3])
print("batch:", queue.get_nowait_batch(2), len(queue), queue.size())
queue.put_nowait_batch([4, 5, 6, 7])
print("full:", queue.full())
try:
    queue.put(8, timeout=0.1)
except Full:
    print("Full after a timeout")
try:
    queue.put_nowait(8)
except Full:
    print("Full at once")
try:
    queue.get_nowait_batch(6)
except Empty:
    print("Empty: the batch is too large")
while not queue.empty():
    queue.get()
try:
    queue.get(block=False)
except Empty:
    print("Empty at once")
try:
    queue.get(timeout=-1)
except ValueError as error:
    print("ValueError:", "non-negative" in str(error))
queue.shutdown()
