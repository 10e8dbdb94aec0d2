/*
 * Asks as the plan says and times the answers. With a rate the loop is open: requests are due at moments that do not
 * depend on answers, and a latency counts from the moment a request was due, so that whoever stalls is charged for
 * everybody it made wait. How late the generator itself was is told apart (`lag`) and judged by whoever runs this.
 */
#ifndef BENCH_GENERATOR_H
#define BENCH_GENERATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "plan.h"

/* False, with the reason on stderr, where it cannot begin. */
bool generator_begin(int loop, const struct plan *plan);
/* Does what is due; when the next thing is. */
int64_t generator_tick(int64_t now);
bool generator_is_busy(void);
/* One line of JSON for the run that has just ended. */
void generator_print(void);

/* Connections that are opened, asked once each, and then kept idle until they are released. */
bool generator_hold(int loop, const struct plan *plan);
void generator_release(void);

#endif
