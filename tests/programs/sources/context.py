"""The runtime context in a driver, a task and an actor, and the listings of resources and nodes."""

import ray

ray.init(num_cpus=4, resources={"disk": 3}, namespace="context")


@ray.remote(num_cpus=2, resources={"disk": 1})
class Actor:
    def facts(self):
        context = ray.get_runtime_context()
        return {
            "name": context.get_actor_name(),
            "namespace": context.namespace,
            "has task id": context.get_task_id() is not None,
            "id length": len(context.get_actor_id()),
            "resources": context.get_assigned_resources(),
            "restarted": context.was_current_actor_reconstructed,
        }

    def job(self):
        return ray.get_runtime_context().get_job_id()

    def node(self):
        return ray.get_runtime_context().get_node_id()


@ray.remote(num_cpus=1)
def task():
    context = ray.get_runtime_context()
    return context.get_actor_id(), context.get_actor_name(), context.get_assigned_resources()


context = ray.get_runtime_context()
print("driver:", context.namespace, context.get_actor_id(), context.get_task_id())
actor = Actor.options(name="facts").remote()
print("actor:", ray.get(actor.facts.remote()))
print("task:", ray.get(task.remote()))
print("one job:", ray.get(actor.job.remote()) == context.get_job_id())
print("one node:", ray.get(actor.node.remote()) == context.get_node_id(), len(ray.nodes()))
total = ray.cluster_resources()
print("total:", total["CPU"], total["disk"])
print("free beside the actor:", ray.available_resources()["disk"])
try:
    _ = context.current_actor
except RuntimeError as error:
    print("no actor:", error)
print("initialized:", ray.is_initialized())
ray.shutdown()
print("after shutdown:", ray.is_initialized())
ray.init(num_cpus=1)
print("again:", ray.get(task.remote())[2])
