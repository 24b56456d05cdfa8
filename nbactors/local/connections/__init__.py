"""Framed sockets to other processes, and to the node.

    session ──calls──► worker          the session's connection: it carries the session's calls in order,
            ◄─answers─                 and the worker's answers to them
    worker  ──calls──► session         a second connection, made by a worker that itself asks the session something

**Who connects.** A process connects to each process that it asks or tells something, and keeps that connection. Two
processes may thus have two connections, one for each direction. Each also has one connection to the node (`NodeLink`).

**Nothing is left half done.** Signal handlers, finalizers and asynchronous exceptions come at any bytecode; handlers
and finalizers may use the same connection. `local.reactor` defines these terms, and what counts as one step.

- *Sending*: one thread at a time sends, the connection's *sender*. Another thread puts its message into the outbox and
  goes on; the sender looks into the outbox again before it leaves. A handler on the sender's own thread takes over.
- *Receiving*: the reactor's leader receives. It reads bytes and keeps them in one step. It takes a message out only
  after the message was handled: a handler that interrupts the handling, and waits, handles that message again.

**A broken socket is no death.** A socket can break while both processes live: one of them may have no descriptor left
for a value that arrives. So each side keeps the frames that it has sent until the other side has acknowledged them;
every frame acknowledges by carrying the number of frames received (`PeerCodec`). The process that made the connection
makes a new socket. Each side then tells how many frames it has received, and the other side sends the frames behind
them. So every frame is received exactly once: a call runs once, and answers and items of a generator come from the
frames that the worker has kept. The attempts stop when the node says that the other process has ended.
"""
