/* The usual case of sending and receiving: `ConnectionBase`, the base class of `Connection`. */
#include "connections.h"
#include "holders.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LENGTH_BYTES 4 /* a frame: its length without these, */
#define HEAD_BYTES 12  /* the number of frames received (8 bytes), and the messages; see `local/wire/framing.py` */
#define CHUNK 65536    /* the most bytes that one receive takes */
#define MAX_FDS 64     /* the most descriptors that one receive takes */

static PyObject *name_append, *name_blame, *name_books, *name_broke, *name_connection, *name_dirty, *name_fds,
    *name_finish, *name_flush, *name_go_on, *name_messages, *name_popleft, *name_reading, *name_trash;
static PyObject *socket_type; /* `socket.socket`; a test's stand-in for a socket is not the usual case */
static PyObject *no_fds;      /* () */
static PyTypeObject *connection_type;
static unsigned char received_bytes[CHUNK];
static PyObject *spare; /* a chunk with room for all that one receive takes, for when memory runs out; or NULL */

typedef struct {
    PyObject_HEAD
    /* Objects, from `sock` to `decode`: NULL only once deleted, see `is_whole`. `connection_members` has their names in
       Python. */
    PyObject *sock, *outbox, *part, *batch, *due, *chunks, *messages, *fds, *tail, *no_tail, *kept, *reactor,
        *on_message, *unpacked, *after_batch, *begun, *handlers, *once, *encode, *decode;
    int fd;
    char is_quick, broken, closed, resuming, telling;
    unsigned long long sender, received, acknowledged, forgotten, told, untold, evicted, forget, untold_limit,
        frame_limit;
} ConnectionBase;

static PyMemberDef connection_members[] = {
    {"sock", T_OBJECT_EX, offsetof(ConnectionBase, sock), 0, NULL},
    {"_outbox", T_OBJECT_EX, offsetof(ConnectionBase, outbox), 0, NULL},
    {"_part", T_OBJECT_EX, offsetof(ConnectionBase, part), 0, NULL},
    {"_batch", T_OBJECT_EX, offsetof(ConnectionBase, batch), 0, NULL},
    {"_due", T_OBJECT_EX, offsetof(ConnectionBase, due), 0, NULL},
    {"_chunks", T_OBJECT_EX, offsetof(ConnectionBase, chunks), 0, NULL},
    {"_messages", T_OBJECT_EX, offsetof(ConnectionBase, messages), 0, NULL},
    {"_fds", T_OBJECT_EX, offsetof(ConnectionBase, fds), 0, NULL},
    {"_tail", T_OBJECT_EX, offsetof(ConnectionBase, tail), 0, NULL},
    {"_no_tail", T_OBJECT_EX, offsetof(ConnectionBase, no_tail), 0, NULL},
    {"_kept", T_OBJECT_EX, offsetof(ConnectionBase, kept), 0, NULL},
    {"_reactor", T_OBJECT_EX, offsetof(ConnectionBase, reactor), 0, NULL},
    {"_on_message", T_OBJECT_EX, offsetof(ConnectionBase, on_message), 0, NULL},
    {"unpacked", T_OBJECT_EX, offsetof(ConnectionBase, unpacked), 0, NULL},
    {"after_batch", T_OBJECT_EX, offsetof(ConnectionBase, after_batch), 0, NULL},
    {"_begun", T_OBJECT_EX, offsetof(ConnectionBase, begun), 0, NULL},
    {"_handlers", T_OBJECT_EX, offsetof(ConnectionBase, handlers), 0, NULL},
    {"_once", T_OBJECT_EX, offsetof(ConnectionBase, once), 0, NULL},
    {"_encode_quickly", T_OBJECT_EX, offsetof(ConnectionBase, encode), 0, NULL},
    {"_decode_quickly", T_OBJECT_EX, offsetof(ConnectionBase, decode), 0, NULL},
    {"_fd", T_INT, offsetof(ConnectionBase, fd), 0, NULL},
    {"_is_quick", T_BOOL, offsetof(ConnectionBase, is_quick), 0, NULL},
    {"_broken", T_BOOL, offsetof(ConnectionBase, broken), 0, NULL},
    {"closed", T_BOOL, offsetof(ConnectionBase, closed), 0, NULL},
    {"_resuming", T_BOOL, offsetof(ConnectionBase, resuming), 0, NULL},
    {"_telling", T_BOOL, offsetof(ConnectionBase, telling), 0, NULL},
    {"_sender", T_ULONGLONG, offsetof(ConnectionBase, sender), 0, NULL},
    {"received", T_ULONGLONG, offsetof(ConnectionBase, received), 0, NULL},
    {"_acknowledged", T_ULONGLONG, offsetof(ConnectionBase, acknowledged), 0, NULL},
    {"_forgotten", T_ULONGLONG, offsetof(ConnectionBase, forgotten), 0, NULL},
    {"_evicted", T_ULONGLONG, offsetof(ConnectionBase, evicted), 0, NULL},
    {"_told", T_ULONGLONG, offsetof(ConnectionBase, told), 0, NULL},
    {"_untold", T_ULONGLONG, offsetof(ConnectionBase, untold), 0, NULL},
    {"_forget_at", T_ULONGLONG, offsetof(ConnectionBase, forget), 0, NULL},
    {"_untold_limit", T_ULONGLONG, offsetof(ConnectionBase, untold_limit), 0, NULL},
    {"_limit_of_frame", T_ULONGLONG, offsetof(ConnectionBase, frame_limit), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

HOLDER(ConnectionBase, connection, sock, decode)

static void
put_number(unsigned char *bytes, int count, uint64_t number)
{
    for (int i = count - 1; i >= 0; i--, number >>= 8) {
        bytes[i] = (unsigned char)number;
    }
}

static uint64_t
number_at(const unsigned char *bytes, int count)
{
    uint64_t number = 0;
    for (int i = 0; i < count; i++) {
        number = number << 8 | bytes[i];
    }
    return number;
}

static int
is_whole(ConnectionBase *self)
{
    return are_whole(&self->sock, connection_count);
}

static int
is_usual(ConnectionBase *self)
{
    return self->is_quick && is_whole(self) && !self->closed && (PyObject *)Py_TYPE(self->sock) == socket_type;
}

/* Return the queued messages as one frame, a new reference; NULL, with or without an exception, if that fails. */
static PyObject *
frame_of(ConnectionBase *self, PyObject *messages)
{
    PyObject *body = PyObject_CallOneArg(self->encode, messages);
    if (body == NULL || !PyBytes_CheckExact(body)) {
        Py_XDECREF(body);
        return NULL;
    }
    Py_ssize_t size = PyBytes_GET_SIZE(body);
    PyObject *frame = NULL;
    if ((unsigned long long)size + HEAD_BYTES <= self->frame_limit) { /* the steps in Python divide what is longer */
        frame = PyBytes_FromStringAndSize(NULL, HEAD_BYTES + size);
    }
    if (frame != NULL) {
        unsigned char *bytes = (unsigned char *)PyBytes_AS_STRING(frame);
        put_number(bytes, LENGTH_BYTES, HEAD_BYTES - LENGTH_BYTES + (uint64_t)size);
        put_number(bytes + LENGTH_BYTES, HEAD_BYTES - LENGTH_BYTES, self->received);
        memcpy(bytes + HEAD_BYTES, PyBytes_AS_STRING(body), (size_t)size);
    }
    Py_DECREF(body);
    return frame;
}

/* Send the messages of the outbox. 1: all were sent. 0: what is left is left to the steps in Python. */
static int
send_messages(ConnectionBase *self, PyObject *messages)
{
    int is_done = 0;
    PyObject *kept = NULL, *rest = NULL, *appended = NULL;
    PyObject *frame = frame_of(self, messages);
    if (frame != NULL) {
        kept = PyTuple_Pack(2, frame, no_fds);
        rest = PyTuple_New(2);
    }
    if (kept != NULL && rest != NULL) {
        appended = PyObject_CallMethodOneArg(self->kept, name_append, kept);
    }
    if (appended != NULL) { /* from here on nothing fails */
        self->told = self->received;
        ssize_t size = PyBytes_GET_SIZE(frame), sent;
        do {
            sent = send(self->fd, PyBytes_AS_STRING(frame), (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
        } while (sent < 0 && errno == EINTR);
        if (sent == size) {
            is_done = 1;
        } else { /* the socket is full or broken: `_encode` makes a part of the rest */
            PyObject *count = PyLong_FromSsize_t(sent < 0 ? 0 : sent);
            if (count == NULL) { /* out of memory: an end of the stream has both sides begin anew with `_kept` */
                PyErr_Clear();
                shutdown(self->fd, SHUT_RDWR);
                is_done = 1;
            } else {
                Py_INCREF(frame);
                PyTuple_SET_ITEM(rest, 0, frame);
                PyTuple_SET_ITEM(rest, 1, count);
                Py_INCREF(rest);
                store(&self->batch, rest);
            }
        }
        PyList_SetSlice(messages, 0, PyList_GET_SIZE(messages), NULL);
    }
    PyErr_Clear(); /* whatever it was: the steps in Python meet it again, and know what to do */
    Py_XDECREF(appended);
    Py_XDECREF(rest);
    Py_XDECREF(kept);
    Py_XDECREF(frame);
    return is_done;
}

/* Return the messages of the outbox, a new reference; NULL, perhaps with an exception, if descriptors go with them. */
static PyObject *
queued_messages(ConnectionBase *self)
{
    if (self->outbox == NULL) {
        return NULL;
    }
    PyObject *fds = PyObject_GetAttr(self->outbox, name_fds);
    PyObject *messages = fds == NULL ? NULL : PyObject_GetAttr(self->outbox, name_messages);
    if (messages != NULL && !(PyList_CheckExact(messages) && PyLong_CheckExact(fds) && PyLong_AsLong(fds) == 0)) {
        Py_CLEAR(messages);
    }
    Py_XDECREF(fds);
    return messages;
}

/* Do what `queued_messages` does; NULL also if to send them is not the usual case. */
static PyObject *
messages_to_send(ConnectionBase *self)
{
    if (!is_usual(self) || self->broken || self->sender || self->part != Py_None || self->batch != Py_None ||
        self->due != Py_None) {
        return NULL;
    }
    return queued_messages(self);
}

int
is_connection(PyObject *object)
{
    return PyObject_TypeCheck(object, connection_type);
}

PyObject *
messages_of(PyObject *line, int sends)
{
    PyObject *messages = sends ? messages_to_send((ConnectionBase *)line) : queued_messages((ConnectionBase *)line);
    if (messages == NULL) {
        PyErr_Clear();
    }
    return messages;
}

int
send_line(PyObject *line, PyObject *messages)
{
    return send_messages((ConnectionBase *)line, messages);
}

/* Do what `send_messages` does, while the garbage collector rests. */
static PyObject *
send_all(ConnectionBase *self, PyObject *messages)
{
    int is_done = 1;
    if (PyList_GET_SIZE(messages)) {
        int collects = PyGC_Disable();
        is_done = send_messages(self, messages);
        if (collects) {
            PyGC_Enable();
        }
    }
    Py_DECREF(messages);
    return PyBool_FromLong(is_done);
}

PyDoc_STRVAR(send_doc, "Send the outbox as one frame. Return False if something is left to the steps in Python.");

static PyObject *
connection_send(ConnectionBase *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *messages = messages_to_send(self);
    if (messages == NULL) {
        if (PyErr_Occurred()) {
            return NULL;
        }
        Py_RETURN_FALSE;
    }
    return send_all(self, messages);
}

PyDoc_STRVAR(send_now_doc,
             "Queue a message, set `sent.connection`, and send the outbox as one frame. Return False if the\n"
             "message is queued and the steps in Python go on, and None if nothing was done.");

static PyObject *
connection_send_now(ConnectionBase *self, PyObject *args)
{
    PyObject *message, *sent;
    if (!PyArg_ParseTuple(args, "OO", &message, &sent)) {
        return NULL;
    }
    PyObject *messages = messages_to_send(self);
    if (messages == NULL) {
        if (PyErr_Occurred()) {
            return NULL;
        }
        Py_RETURN_NONE;
    }
    if (sent != Py_None) {
        PyObject *connection = PyObject_GetAttr(sent, name_connection);
        Py_XDECREF(connection);
        if (connection != Py_None || PyObject_SetAttr(sent, name_connection, (PyObject *)self)) {
            Py_DECREF(messages); /* it was queued already: the steps in Python know that */
            if (connection == NULL || connection == Py_None) {
                return NULL;
            }
            Py_RETURN_NONE;
        }
    }
    if (PyList_Append(messages, message)) {
        Py_DECREF(messages);
        return NULL;
    }
    return send_all(self, messages);
}

int
sends_quickly(PyObject *connection)
{
    return is_connection(connection) && is_usual((ConnectionBase *)connection);
}

int
flush_line(PyObject *line)
{
    ConnectionBase *self = (ConnectionBase *)line;
    PyObject *flushed = PyObject_CallMethodNoArgs((PyObject *)self, name_flush);
    Py_XDECREF(flushed);
    if (flushed != NULL) {
        return 0;
    }
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyObject *dirty = self->reactor == NULL ? NULL : PyObject_GetAttr(self->reactor, name_dirty);
    PyObject *appended = dirty == NULL ? NULL : PyObject_CallMethodOneArg(dirty, name_append, (PyObject *)self);
    Py_XDECREF(appended);
    Py_XDECREF(dirty);
    PyErr_Clear();
    PyErr_Restore(type, error, trace);
    return -1;
}

int
send_message_now(PyObject *connection, PyObject *message)
{
    ConnectionBase *self = (ConnectionBase *)connection;
    PyObject *messages = messages_to_send(self);
    if (messages == NULL || PyList_Append(messages, message)) {
        Py_XDECREF(messages);
        PyErr_Clear();
        return 0;
    }
    PyObject *is_sent = send_all(self, messages);
    Py_DECREF(is_sent); /* a bool */
    return is_sent == Py_True ? 1 : flush_line(connection) ? -1 : 1;
}

int
add_message(PyObject *connection, PyObject *message, Py_ssize_t most)
{
    ConnectionBase *self = (ConnectionBase *)connection;
    PyObject *messages = self->outbox == NULL ? NULL : PyObject_GetAttr(self->outbox, name_messages);
    int is_done = 0;
    if (messages != NULL && PyList_CheckExact(messages) && PyList_GET_SIZE(messages) > 0 &&
        PyList_GET_SIZE(messages) + 1 < most) {
        is_done = PyList_Append(messages, message) ? -1 : 1;
    }
    Py_XDECREF(messages);
    if (is_done == 0) {
        PyErr_Clear();
    }
    return is_done;
}

/* Return how many whole frames the received bytes are; 0 if they end in the middle of one. */
static Py_ssize_t
count_frames(ConnectionBase *self, size_t size)
{
    Py_ssize_t count = 0;
    size_t position = 0;
    while (size - position >= HEAD_BYTES) {
        size_t length = LENGTH_BYTES + (size_t)number_at(received_bytes + position, LENGTH_BYTES);
        if (length < HEAD_BYTES || length > size - position || length > self->frame_limit) {
            return 0;
        }
        position += length;
        count++;
    }
    return position == size ? count : 0;
}

/* Decode whole frames into one list, the first message last; NULL if they are malformed. Counts those with messages. */
static PyObject *
decode_frames(ConnectionBase *self, size_t size, unsigned long long *filled)
{
    PyObject *all = NULL;
    for (size_t position = 0; position < size;) {
        size_t length = (size_t)number_at(received_bytes + position, LENGTH_BYTES) + LENGTH_BYTES - HEAD_BYTES;
        position += HEAD_BYTES;
        PyObject *body = PyBytes_FromStringAndSize((char *)received_bytes + position, (Py_ssize_t)length);
        PyObject *batch = body == NULL ? NULL : PyObject_CallOneArg(self->decode, body);
        Py_XDECREF(body);
        position += length;
        if (batch == NULL || !PyList_CheckExact(batch)) {
            Py_XDECREF(batch);
            Py_XDECREF(all);
            return NULL;
        }
        *filled += PyList_GET_SIZE(batch) != 0;
        if (all == NULL) {
            all = batch;
            continue;
        }
        Py_ssize_t end = PyList_GET_SIZE(all);
        int failed = PyList_SetSlice(all, end, end, batch);
        Py_DECREF(batch);
        if (failed) {
            Py_DECREF(all);
            return NULL;
        }
    }
    if (all != NULL && PyList_GET_SIZE(all) > 1 && PyList_Reverse(all)) {
        Py_CLEAR(all);
    }
    return all;
}

/* Make the spare chunk, if there is none. Returns 0, or -1 with an exception. */
static int
make_spare(void)
{
    if (spare == NULL) {
        PyObject *bytes = PyBytes_FromStringAndSize(NULL, CHUNK);
        spare = bytes == NULL ? NULL : Py_BuildValue("(N[]iO)", bytes, 0, Py_None);
    }
    return spare == NULL ? -1 : 0;
}

/* Keep what was received in the spare chunk, which needs no memory. Descriptors are closed, as if the kernel had
 * dropped them. Returns 0, or -1 with an exception. */
static int
keep_spare(ConnectionBase *self, size_t size, struct msghdr *header)
{
    int flags = header->msg_flags & MSG_CTRUNC;
    PyErr_Clear();
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) {
            for (size_t at = CMSG_LEN(0); at + sizeof(int) <= part->cmsg_len; at += sizeof(int)) {
                int fd;
                memcpy(&fd, (char *)part + at, sizeof fd);
                close(fd);
            }
            flags = MSG_CTRUNC;
        }
    }
    PyObject *chunk = spare, *bytes = PyTuple_GET_ITEM(chunk, 0), *before = PyTuple_GET_ITEM(chunk, 2);
    spare = NULL;
    memcpy(PyBytes_AS_STRING(bytes), received_bytes, size);
    PyBytes_AS_STRING(bytes)[size] = 0;
    Py_SET_SIZE((PyVarObject *)bytes, (Py_ssize_t)size); /* to make it shorter by a copy would need memory */
    PyTuple_SET_ITEM(chunk, 2, PyLong_FromLong(flags));  /* a small number is there already */
    Py_DECREF(before);
    PyObject *appended = PyObject_CallMethodOneArg(self->chunks, name_append, chunk);
    Py_DECREF(chunk);
    Py_XDECREF(appended);
    return appended == NULL ? -1 : 0;
}

/* Keep what was received for the steps in Python, in the form of `socket.recvmsg`. Returns 0, or -1 with an
 * exception. */
static int
keep_chunk(ConnectionBase *self, size_t size, struct msghdr *header)
{
    PyObject *appended = NULL;
    PyObject *ancillary = PyList_New(0);
    int failed = ancillary == NULL;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL && !failed; part = CMSG_NXTHDR(header, part)) {
        Py_ssize_t length = (Py_ssize_t)(part->cmsg_len - CMSG_LEN(0));
        PyObject *item = Py_BuildValue("(iiy#)", part->cmsg_level, part->cmsg_type, CMSG_DATA(part), length);
        failed = item == NULL || PyList_Append(ancillary, item);
        Py_XDECREF(item);
    }
    PyObject *chunk =
        failed ? NULL
               : Py_BuildValue("(y#OiO)", received_bytes, (Py_ssize_t)size, ancillary, header->msg_flags, Py_None);
    if (chunk != NULL) {
        appended = PyObject_CallMethodOneArg(self->chunks, name_append, chunk);
    }
    Py_XDECREF(chunk);
    Py_XDECREF(ancillary);
    Py_XDECREF(appended);
    return appended == NULL ? keep_spare(self, size, header) : 0;
}

/* Receive once, and keep messages or a chunk. 1: messages. 2: a chunk. 3: the socket is broken, with its exception.
 * 0: nothing was there. -1: an exception. */
static int
receive(ConnectionBase *self)
{
    char control[CMSG_SPACE(MAX_FDS * sizeof(int))];
    struct iovec place = {received_bytes, CHUNK};
    struct msghdr header = {
        .msg_iov = &place, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t size;
    if (make_spare()) { /* what was received once must not be lost */
        return -1;
    }
    do {
        size = recvmsg(self->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (size < 0 && errno == EINTR);
    if (size < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return 0;
        }
        PyErr_SetFromErrno(PyExc_OSError);
        return PyErr_ExceptionMatches(PyExc_OSError) ? 3 : -1;
    }
    if (header.msg_controllen || header.msg_flags & MSG_CTRUNC || !count_frames(self, (size_t)size)) {
        return keep_chunk(self, (size_t)size, &header) ? -1 : 2;
    }
    unsigned long long filled = 0;
    PyObject *messages = decode_frames(self, (size_t)size, &filled);
    if (messages == NULL) { /* malformed: the steps in Python tell how */
        PyErr_Clear();
        return keep_chunk(self, (size_t)size, &header) ? -1 : 2;
    }
    self->received += filled;
    /* Of several frames the last one acknowledges most: find where it begins. */
    size_t begin = 0, next = 0;
    while (next < (size_t)size) {
        begin = next;
        next += LENGTH_BYTES + (size_t)number_at(received_bytes + begin, LENGTH_BYTES);
    }
    self->acknowledged = number_at(received_bytes + begin + LENGTH_BYTES, HEAD_BYTES - LENGTH_BYTES);
    self->untold += (unsigned long long)size;
    store(&self->messages, messages);
    return 1;
}

/* Call a method, and drop what it returns. Returns 0, or -1 with an exception. */
static int
call(ConnectionBase *self, PyObject *name, PyObject *argument)
{
    PyObject *result = argument == NULL ? PyObject_CallMethodNoArgs((PyObject *)self, name)
                                        : PyObject_CallMethodOneArg((PyObject *)self, name, argument);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Have `_blame` handle the exception of a message's handling. Returns 0, or -1 with an exception. */
static int
tell_failure(ConnectionBase *self, PyObject *on_message, PyObject *message)
{
    PyObject *outer[3], *error = begin_handling(outer);
    PyObject *result = PyObject_CallMethodObjArgs((PyObject *)self, name_blame, error, on_message, message, NULL);
    end_handling(outer);
    Py_DECREF(error);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Call the handler of a message: what `Peers.dispatch` does, if the handlers are known. Returns 0, or -1 with an
 * exception. */
static int
hand_on(ConnectionBase *self, PyObject *on_message, PyObject *message)
{
    PyObject *handler = on_message;
    if (PyDict_CheckExact(self->handlers)) {
        PyObject *type = (PyObject *)Py_TYPE(message);
        PyObject *found = PyDict_GetItemWithError(self->handlers, type);
        int is_once = found == NULL ? 0 : PySet_Contains(self->once, type);
        if (PyErr_Occurred()) {
            return -1;
        }
        if (is_once && self->begun == message) {
            return 0;
        }
        if (found != NULL) {
            handler = found;
        }
        Py_INCREF(handler);
        if (is_once) {
            Py_INCREF(message);
            store(&self->begun, message);
        }
    } else {
        Py_INCREF(handler);
    }
    PyObject *result = PyObject_CallFunctionObjArgs(handler, (PyObject *)self, message, NULL);
    Py_DECREF(handler);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Do what `Connection.go_on` does with decoded messages; leave marks. Between two steps, code in Python may change
 * everything. */
static int
handle_messages(ConnectionBase *self)
{
    while (!self->closed && is_whole(self) && PyList_CheckExact(self->messages)) {
        PyObject *messages = self->messages;
        Py_ssize_t count = PyList_GET_SIZE(messages);
        if (!count) {
            break;
        }
        PyObject *message = PyList_GET_ITEM(messages, count - 1);
        if (PyTuple_Check(message)) { /* a `Mark`, which a wait inside has left */
            break;
        }
        PyObject *on_message = self->on_message;
        Py_INCREF(messages);
        Py_INCREF(message);
        Py_INCREF(on_message);
        int failed = hand_on(self, on_message, message) && tell_failure(self, on_message, message);
        Py_DECREF(on_message);
        if (!failed) {
            if (PyDict_CheckExact(self->unpacked) && PyDict_GET_SIZE(self->unpacked)) {
                failed = call(self, name_finish, message);
            } else {
                count = PyList_GET_SIZE(messages);
                if (count && PyList_GET_ITEM(messages, count - 1) == message) {
                    failed = PyList_SetSlice(messages, count - 1, count, NULL);
                }
            }
        }
        Py_DECREF(message);
        Py_DECREF(messages);
        if (failed) {
            return -1;
        }
    }
    return 0;
}

/* Drop kept frames that the other side has acknowledged, as `_forget` does. Returns 0, or -1 with an exception. */
static int
forget(ConnectionBase *self)
{
    while (self->forgotten < self->acknowledged && is_whole(self)) {
        Py_ssize_t count = PyObject_Size(self->kept);
        PyObject *frame = count > 0 ? PyObject_CallMethodNoArgs(self->kept, name_popleft) : NULL;
        if (frame == NULL) {
            return count == 0 ? 0 : -1;
        }
        self->forgotten++;
        Py_DECREF(frame); /* the last reference to a descriptor closes it */
    }
    return 0;
}

/* Handle what `receive` has kept. Returns 0, or -1 with an exception. */
static int
handle(ConnectionBase *self, int kind)
{
    if (kind == 3) { /* the system tells an error once: a further receive would only find the end of the stream */
        PyObject *type, *error, *trace;
        PyErr_Fetch(&type, &error, &trace);
        PyErr_NormalizeException(&type, &error, &trace);
        int failed = call(self, name_broke, error);
        Py_XDECREF(type);
        Py_XDECREF(error);
        Py_XDECREF(trace);
        return failed;
    }
    if (kind == 1) {
        int has_books = !self->telling || self->untold > self->untold_limit;
        if (!has_books && self->acknowledged >= self->forgotten + self->forget) {
            has_books = self->evicted || self->broken;
            if (!has_books && forget(self)) {
                return -1;
            }
        }
        if ((has_books && call(self, name_books, NULL)) || handle_messages(self)) {
            return -1;
        }
        Py_ssize_t left = is_whole(self) ? PyObject_Size(self->chunks) : 1;
        if (left < 0) {
            return -1;
        }
        if (left == 0 && (self->closed || (PyList_CheckExact(self->messages) && !PyList_GET_SIZE(self->messages)))) {
            if (self->after_batch == Py_None || self->closed) {
                return 0;
            }
            PyObject *after = self->after_batch;
            Py_INCREF(after);
            PyObject *result = PyObject_CallOneArg(after, (PyObject *)self);
            Py_DECREF(after);
            Py_XDECREF(result);
            return result == NULL ? -1 : 0;
        }
    }
    return call(self, name_go_on, NULL);
}

/* Have the leader go on later with what an exception has interrupted. The exception stays set. */
static void
go_on_later(ConnectionBase *self)
{
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyObject *go_on = PyObject_GetAttr((PyObject *)self, name_go_on);
    PyObject *trash = go_on == NULL || self->reactor == NULL ? NULL : PyObject_GetAttr(self->reactor, name_trash);
    PyObject *result = trash == NULL ? NULL : PyObject_CallMethodOneArg(trash, name_append, go_on);
    Py_XDECREF(result);
    Py_XDECREF(trash);
    Py_XDECREF(go_on);
    PyErr_Restore(type, error, trace);
}

PyDoc_STRVAR(receive_doc,
             "Receive once, and handle what has come. Return False, without having received, if this is not\n"
             "the usual case. The leader's thread.");

static PyObject *
connection_receive(ConnectionBase *self, PyObject *Py_UNUSED(ignored))
{
    if (!is_usual(self) || !self->received || self->resuming || self->tail != self->no_tail ||
        !PyList_CheckExact(self->messages) || PyList_GET_SIZE(self->messages) || PyObject_Size(self->chunks) != 0 ||
        PyObject_Size(self->fds) != 0) {
        PyErr_Clear();
        Py_RETURN_FALSE;
    }
    PyObject *outer = PyObject_GetAttr(self->reactor, name_reading);
    if (outer == NULL) {
        return NULL;
    }
    int collects = PyGC_Disable();
    int kind = receive(self);
    if (collects) {
        PyGC_Enable();
    }
    if (kind <= 0) {
        Py_DECREF(outer);
        if (kind == 0) {
            Py_RETURN_TRUE;
        }
        return NULL;
    }
    Py_INCREF(self);
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace); /* of a broken socket */
    int failed = PyObject_SetAttr(self->reactor, name_reading, (PyObject *)self);
    if (!failed) {
        PyErr_Restore(type, error, trace);
        failed = handle(self, kind);
    } else {
        Py_XDECREF(type);
        Py_XDECREF(error);
        Py_XDECREF(trace);
    }
    if (failed) {
        go_on_later(self);
    }
    PyErr_Fetch(&type, &error, &trace);
    if (self->reactor == NULL || PyObject_SetAttr(self->reactor, name_reading, outer)) {
        PyErr_Clear();
    }
    PyErr_Restore(type, error, trace);
    Py_DECREF(outer);
    Py_DECREF(self);
    if (failed) {
        return NULL;
    }
    Py_RETURN_TRUE;
}

static PyMethodDef connection_methods[] = {
    {"_send_quickly",     (PyCFunction)connection_send,     METH_NOARGS,  send_doc    },
    {"_send_now_quickly", (PyCFunction)connection_send_now, METH_VARARGS, send_now_doc},
    {"_receive_quickly",  (PyCFunction)connection_receive,  METH_NOARGS,  receive_doc },
    {NULL,                NULL,                             0,            NULL        },
};

PyDoc_STRVAR(connection_doc, "The state of a connection that the steps in C and those in Python share.");

static PyType_Slot connection_slots[] = {
    {Py_tp_doc,     (void *)connection_doc},
    HOLDER_SLOTS(connection), {Py_tp_methods, connection_methods    },
    {0,             NULL                  }
};

static PyType_Spec connection_spec = {
    .name = "nbactors.speedups._compiled.ConnectionBase",
    .basicsize = sizeof(ConnectionBase),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = connection_slots,
};

int
add_connections(PyObject *module)
{
    if (intern(&name_append, "append") || intern(&name_blame, "_blame") || intern(&name_books, "_keep_books") ||
        intern(&name_broke, "_broke") || intern(&name_connection, "connection") || intern(&name_dirty, "dirty") ||
        intern(&name_fds, "fds") || intern(&name_finish, "_finish") || intern(&name_flush, "flush") ||
        intern(&name_go_on, "go_on") || intern(&name_messages, "messages") || intern(&name_popleft, "popleft") ||
        intern(&name_reading, "reading") || intern(&name_trash, "trash")) {
        return -1;
    }
    PyObject *sockets = PyImport_ImportModule("socket");
    socket_type = sockets == NULL ? NULL : PyObject_GetAttrString(sockets, "socket");
    Py_XDECREF(sockets);
    no_fds = PyTuple_New(0);
    PyObject *line = socket_type == NULL || no_fds == NULL ? NULL : PyType_FromSpec(&connection_spec);
    connection_type = (PyTypeObject *)line;
    return line == NULL || PyModule_AddObjectRef(module, "ConnectionBase", line) ? -1 : 0;
}
