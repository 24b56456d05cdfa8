"""Framed sockets to other processes, and to the node.

    session ──calls──► worker          one connection for each that asks: its requests travel on it in order,
            ◄─answers─                 and the answers come back on it
    worker  ──calls──► session         another one, if the worker asks something, too

**Who connects.** Each process connects to whom it has something to ask or tell, and keeps that connection for good. So
two processes may have two connections, one of each direction.

**No step is torn.** Handlers, finalizers and exceptions from outside come at any bytecode, and handlers and finalizers
may use this very connection. What one step is, `local.reactor` tells.

- *Sending* is done by one thread at a time, the connection's `_sender`. Another thread leaves its message in the
  outbox, and the sender looks there again before it leaves. A handler on the sender's own thread sends on in its place.
- *Receiving* is done by the reactor's leader. Bytes are read and kept in one step, and a message is taken out only when
  it was handled. A handler that has interrupted that goes on with the same message, so handling is idempotent.

**A broken socket is no death.** No descriptor may be left for what one side sends, for instance, while both live. So
each side keeps the frames that it has sent until the other has told that it received them, as every frame tells by the
way (`PeerCodec`). When the socket is made anew, each side begins with how many frames it has received, and is sent
those behind them. Every frame is received once, whatever it holds: a call runs once, and its answer and the items of a
generator come from what its worker has kept. Who has made the connection makes it anew, and tries until it is there or
the node says that the other process has ended. That alone closes it for good.
"""
