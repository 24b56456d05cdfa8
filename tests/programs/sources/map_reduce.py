"""Map and reduce with tasks: counts the words of documents, shuffles them by a stable hash, and sums."""

import zlib
from collections import Counter

import ray

ray.init(num_cpus=4)

DOCUMENTS = [
    "the quick brown fox jumps over the lazy dog",
    "the dog barks and the fox runs",
    "a brown dog and a brown fox",
    "over and over the quick dog runs",
]
REDUCERS = 3


@ray.remote(num_returns=REDUCERS)
def map_words(text):
    parts = [Counter() for _ in range(REDUCERS)]
    for word in text.split():
        parts[zlib.crc32(word.encode()) % REDUCERS][word] += 1
    return tuple(parts)


@ray.remote
def reduce_counts(*parts):
    total = Counter()
    for part in parts:
        total += part
    return total


@ray.remote
def merge(results):
    return sum(ray.get(results), Counter())


mapped = [map_words.remote(text) for text in DOCUMENTS]
print("parts:", len(mapped), {len(parts) for parts in mapped})
reduced = [reduce_counts.remote(*(parts[index] for parts in mapped)) for index in range(REDUCERS)]
for index, counts in enumerate(ray.get(reduced)):
    print("reducer", index, sorted(counts.items()))
total = ray.get(merge.remote(reduced))
print("most frequent:", sorted(total.items(), key=lambda item: (-item[1], item[0]))[:4])
print("words:", sum(total.values()), sum(len(text.split()) for text in DOCUMENTS))


@ray.remote
def fibonacci(number):
    if number < 2:
        return number
    return sum(ray.get([fibonacci.remote(number - 1), fibonacci.remote(number - 2)]))


print("nested tasks:", ray.get(fibonacci.options(num_cpus=0).remote(4)))
