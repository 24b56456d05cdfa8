"""The engine on a Ray cluster: `init(engine="ray")`, or an address such as `host:port`.

The session is a driver of Ray, and each actor a Ray actor of a class of ours, its host, which carries the user's
object. `host` is what runs in Ray's workers. It needs only the standard library, Ray, and those modules of this package
that need no other library: the session ships them, so nothing of ours is installed on the cluster. See
docs/architecture.md.
"""
