"""User metrics: counters, gauges and histograms in actors, their tags, and what they refuse."""

import ray
from ray.util.metrics import Counter, Gauge, Histogram

ray.init(num_cpus=4)


@ray.remote
class Server:
    def __init__(self, name):
        self.requests = Counter("requests_total", description="Requests.", tag_keys=("server", "route"))
        self.requests.set_default_tags({"server": name})
        self.load = Gauge("load", description="Load.", tag_keys=("server",))
        self.latency = Histogram("latency_s", description="Latency.", boundaries=[0.1, 1.0], tag_keys=("server",))
        self.name = name

    def handle(self, route, seconds):
        self.requests.inc(tags={"route": route})
        self.load.set(seconds * 10, tags={"server": self.name})
        self.latency.observe(seconds, tags={"server": self.name})
        return f"{route} in {seconds}"

    def refused(self):
        found = []
        for wrong in (lambda: self.requests.inc(-1), lambda: self.requests.inc(1, tags={"other": "x"})):
            try:
                wrong()
            except ValueError as error:
                found.append(type(error).__name__)
        return found


servers = [Server.remote(name) for name in ("one", "two")]
print(ray.get([server.handle.remote("/index", 0.05) for server in servers]))
print("refused:", ray.get(servers[0].refused.remote()))
counter = Counter("driver_total", tag_keys=("kind",))
print("info:", counter.info["name"], counter.info["tag_keys"], counter.info["default_tags"])
for make in (
    lambda: Counter(""),
    lambda: Counter("c", tag_keys="kind"),
    lambda: Histogram("h", boundaries=[]),
    lambda: Histogram("h", boundaries=[-1.0]),
    lambda: counter.set_default_tags({"other": "x"}),
    lambda: counter.inc(0),
):
    try:
        make()
        print("accepted")
    except (ValueError, TypeError) as error:
        print("refused:", type(error).__name__)
