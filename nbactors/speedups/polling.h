/* What polling offers to the other files. */
#ifndef NBACTORS_POLLING_H
#define NBACTORS_POLLING_H

#include "compiled.h"

#define MAX_EVENTS 64 /* the most events that one poll returns */
#define NO_END (-1.0) /* the timeout, in seconds, of a poll that has none */

typedef struct {
    PyObject *key; /* the `SelectorKey`, a new reference */
    long mask;
} Event;

/* Do what `BriskSelector.select_briskly` does, or without `is_brisk` `look`. Returns how many events were found, or -1
 * with an exception. The selector is one that `is_quick_selector` has accepted. */
int poll_selector(PyObject *selector, int is_brisk, double seconds, Event *events);

/* Return events as a list of (key, mask), as a selector does; NULL with an exception. */
PyObject *list_of(Event *events, int count);

/* Let the keys of events go. */
void drop_events(Event *events, int count);

/* Return whether `poll_selector` may poll a selector. */
int is_quick_selector(PyObject *selector);

/* Return whether the last poll of a selector has found its events at once. */
int has_found_at_once(PyObject *selector);

#endif
