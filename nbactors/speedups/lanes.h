/* What other files use of lanes. */
#ifndef NBACTORS_LANES_H
#define NBACTORS_LANES_H

#include "compiled.h"

/* Return whether more calls wait or run in a lane: 1, 0, or -1, without an exception, if this is no lane of ours. */
int is_lane_busy(PyObject *lane);

#endif
