/* Polling, see `local/reactor/brisk_selector.py`. */
#include "compiled.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <time.h>

#define MAX_EVENTS 64 /* the most events that one poll returns */

static double
now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Return the events as a list of (key, mask), as a selector does. `keys` has a SelectorKey for each descriptor. */
static PyObject *
events_of(PyObject *keys, struct epoll_event *found, int count)
{
    PyObject *events = PyList_New(0);
    for (int i = 0; events != NULL && i < count; i++) {
        PyObject *fd = PyLong_FromLong(found[i].data.fd);
        PyObject *key = fd == NULL ? NULL : PyDict_GetItemWithError(keys, fd);
        Py_XDECREF(fd);
        if (key == NULL) {
            if (PyErr_Occurred()) {
                Py_CLEAR(events);
            }
            continue; /* it was unregistered just now */
        }
        Py_INCREF(key);
        PyObject *wanted = PyTuple_Check(key) && PyTuple_GET_SIZE(key) > 2 ? PyTuple_GET_ITEM(key, 2) : Py_None;
        long mask = PyLong_AsLong(wanted);
        long ready = (found[i].events & ~(uint32_t)EPOLLIN ? 2 : 0) | (found[i].events & ~(uint32_t)EPOLLOUT ? 1 : 0);
        PyObject *event = mask == -1 && PyErr_Occurred() ? NULL : Py_BuildValue("(Ol)", key, ready & mask);
        if (event == NULL || PyList_Append(events, event)) {
            Py_CLEAR(events);
        }
        Py_XDECREF(event);
        Py_DECREF(key);
    }
    return events;
}

PyDoc_STRVAR(look_doc,
             "look(epoll, keys, seconds): poll once, for at most this time; a negative one has no end. Returns\n"
             "(key, mask) of each event. Signal handlers run, as in `select.epoll.poll`.");

static PyObject *
look(PyObject *Py_UNUSED(module), PyObject *args)
{
    int epoll, count;
    PyObject *keys;
    double seconds;
    struct epoll_event found[MAX_EVENTS];
    if (!PyArg_ParseTuple(args, "iO!d", &epoll, &PyDict_Type, &keys, &seconds)) {
        return NULL;
    }
    if (seconds == 0) {
        count = epoll_wait(epoll, found, MAX_EVENTS, 0);
    } else {
        double until = now() + seconds;
        for (;;) {
            int milliseconds = seconds < 0 ? -1 : (int)(seconds * 1e3) + (seconds * 1e3 > (int)(seconds * 1e3));
            Py_BEGIN_ALLOW_THREADS
            count = epoll_wait(epoll, found, MAX_EVENTS, milliseconds);
            Py_END_ALLOW_THREADS
            if (count >= 0 || errno != EINTR) {
                break;
            }
            if (PyErr_CheckSignals()) {
                return NULL;
            }
            if (seconds > 0) {
                seconds = until - now();
                seconds = seconds > 0 ? seconds : 0;
            }
        }
    }
    if (count < 0) {
        if (errno == EINTR) {
            return PyList_New(0);
        }
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return events_of(keys, found, count);
}

PyDoc_STRVAR(spin_doc,
             "spin(epoll, keys, seconds, aside): poll without sleeping for at most this time, and yield the processor\n"
             "after each poll. Returns the events, the number of polls, and whether the processor came back later\n"
             "than after `aside` seconds, which ends the spinning.");

static PyObject *
spin(PyObject *Py_UNUSED(module), PyObject *args)
{
    int epoll, count;
    PyObject *keys;
    double seconds, aside;
    struct epoll_event found[MAX_EVENTS];
    if (!PyArg_ParseTuple(args, "iO!dd", &epoll, &PyDict_Type, &keys, &seconds, &aside)) {
        return NULL;
    }
    long polls = 1;
    int is_aside = 0, error = 0;
    count = epoll_wait(epoll, found, MAX_EVENTS, 0);
    if (count == 0) {
        Py_BEGIN_ALLOW_THREADS
        double before = now(), until = before + seconds;
        for (;;) {
            sched_yield();
            double after = now();
            is_aside = after - before > aside;
            if (is_aside || after >= until) {
                break;
            }
            before = after;
            count = epoll_wait(epoll, found, MAX_EVENTS, 0);
            error = errno;
            polls++;
            if (count != 0) {
                break;
            }
        }
        Py_END_ALLOW_THREADS
        errno = error;
    }
    if (count < 0) {
        if (errno != EINTR) {
            return PyErr_SetFromErrno(PyExc_OSError);
        }
        count = 0;
    }
    PyObject *events = events_of(keys, found, count);
    return events == NULL ? NULL : Py_BuildValue("(NlO)", events, polls, is_aside ? Py_True : Py_False);
}

static PyMethodDef functions[] = {
    {"look", look, METH_VARARGS, look_doc},
    {"spin", spin, METH_VARARGS, spin_doc},
    {NULL, NULL, 0, NULL},
};

int
add_polling(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
