/* What other files use of the steps of `ConnectionBase`. */
#ifndef NBACTORS_CONNECTIONS_H
#define NBACTORS_CONNECTIONS_H

#include "compiled.h"

/* Return whether the steps of `ConnectionBase` serve this connection. */
int sends_quickly(PyObject *connection);

/* Queue a message, and send the outbox. 1: done. 0: nothing was done. -1: an exception; the message is queued. */
int send_message_now(PyObject *connection, PyObject *message);

/* Queue a message behind others that are to be sent soon. 1: done. 0: nothing was done, since there are none, or since
 * the messages would be `most`. -1: an exception, and nothing was done. */
int add_message(PyObject *connection, PyObject *message, Py_ssize_t most);

/* Return whether an object is a connection. */
int is_connection(PyObject *object);

/* Return the queued messages of a connection, a new reference; NULL, without an exception, if to queue one more is not
 * the usual case, or to send them, where that is asked. */
PyObject *messages_of(PyObject *line, int sends);

/* Send the queued messages of a connection. Return 0 if something is left to be flushed by the steps in Python. */
int send_line(PyObject *line, PyObject *messages);

/* Send what is queued by the steps in Python; if an exception comes from outside before that, the leader sends it soon.
 * Returns 0, or -1 with an exception. */
int flush_line(PyObject *line);

#endif
