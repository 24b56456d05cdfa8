"""A parameter server: workers compute gradients of shared weights, asynchronously and in rounds."""

import numpy as np
import ray

ray.init(num_cpus=4)
DIMENSION = 20_000


@ray.remote
class ParameterServer:
    def __init__(self, dimension, rate):
        self.weights = np.zeros(dimension)
        self.rate = rate
        self.updates = 0

    def apply(self, *gradients):
        self.weights -= self.rate * np.mean(gradients, axis=0)
        self.updates += 1
        return self.weights

    def get(self):
        return self.weights

    def statistics(self):
        return {"updates": self.updates, "norm": round(float(np.linalg.norm(self.weights - 1.0)), 6)}


@ray.remote
class Worker:
    def __init__(self, index, dimension):
        self.noise = np.sin(np.arange(dimension) * (index + 1)) * 0.01

    def gradient(self, weights):
        assert not weights.flags.writeable
        return weights - 1.0 + self.noise


server = ParameterServer.remote(DIMENSION, 0.5)
workers = [Worker.remote(index, DIMENSION) for index in range(3)]

weights = server.get.remote()
for step in range(8):
    gradients = [worker.gradient.remote(weights) for worker in workers]
    weights = server.apply.remote(*gradients)
    if step % 4 == 3:
        print("synchronous step", step, ray.get(server.statistics.remote()))

pending = {worker.gradient.remote(weights): worker for worker in workers}
for _ in range(12):
    (ready,), _ = ray.wait(list(pending))
    worker = pending.pop(ready)
    weights = server.apply.remote(ready)
    pending[worker.gradient.remote(weights)] = worker
print("updates:", ray.get(server.statistics.remote())["updates"])
result = ray.get(weights)
print("result:", result.shape, result.dtype, bool(np.all(np.abs(result - 1.0) < 0.1)))
