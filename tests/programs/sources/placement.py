"""Placement groups: reserved bundles, actors in them, what is left, and what does not fit."""

import ray
from ray.util.placement_group import placement_group, placement_group_table, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

ray.init(num_cpus=4, resources={"widget": 2})


@ray.remote(num_cpus=1)
class Trainer:
    def resources(self):
        return ray.get_runtime_context().get_assigned_resources().get("CPU", "in the group")

    def has_group(self):
        return ray.util.get_current_placement_group() is not None


@ray.remote(num_cpus=1)
def task():
    return "ran"


group = placement_group([{"CPU": 1}, {"CPU": 2, "widget": 1}], strategy="PACK", name="training")
print("ready:", group.wait(30), group.bundle_count)
print("bundles:", group.bundle_specs)
print("table:", placement_group_table(group)["state"], placement_group_table(group)["strategy"])
available = ray.available_resources()
print("left:", available["CPU"], available["widget"])

strategy = PlacementGroupSchedulingStrategy(placement_group=group, placement_group_bundle_index=1)
trainers = [Trainer.options(scheduling_strategy=strategy).remote() for _ in range(2)]
print("in the group:", ray.get([trainer.has_group.remote() for trainer in trainers]))
print("outside:", ray.get(Trainer.options(num_cpus=0).remote().has_group.remote()))
first = PlacementGroupSchedulingStrategy(placement_group=group, placement_group_bundle_index=0)
print("task:", ray.get(task.options(scheduling_strategy=first).remote()))

too_large = placement_group([{"CPU": 100}])
print("too large:", too_large.wait(0.3))
remove_placement_group(too_large)
try:
    placement_group([{}])
except ValueError:
    print("an empty bundle is refused")
try:
    placement_group([{"CPU": 1}], strategy="WRONG")
except ValueError:
    print("a wrong strategy is refused")

remove_placement_group(group)
while True:
    try:
        ray.get(trainers[0].has_group.remote(), timeout=30)
    except ray.exceptions.RayActorError as error:
        print("removed:", isinstance(error, ray.exceptions.ActorDiedError))
        break
print("state:", placement_group_table(group)["state"])
