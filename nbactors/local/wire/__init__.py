"""The messages between processes, and how they become bytes. Nothing here does input or output.

    session, worker, command line ◄──control──► node ◄──fork──► forkserver
    session, worker ◄──peer──► session, worker: calls and results

    a value ──pickling──► bytes in a message ──msgspec──► an array of messages with its length: a frame ──► socket

`messages` has the conversations, `framing` the frames, `pickling` and `failures` the form of values and errors.
"""
