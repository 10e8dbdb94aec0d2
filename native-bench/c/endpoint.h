/*
 * The model server of a measurement: answers every request with what the run asks for, at once, after a delay, or as
 * a stream of events. It lives in the generator's own event loop, so that neither waits for the scheduler to
 * switch between them on the core they share.
 */
#ifndef BENCH_ENDPOINT_H
#define BENCH_ENDPOINT_H

#include <stdint.h>

#include "plan.h"

#define LISTENERS_MAX 8

struct endpoint_count {
  uint64_t connections;
  uint64_t requests;
  /* Bodies that were not what the client sent (only looked at with verify=1). */
  uint64_t wrong_bodies;
};

/* Listens at a port (0: any that is free) or `unix:PATH`; its number, or -1. */
int endpoint_listen(int loop, const char *place);
int endpoint_listeners(void);
/* 0 for a path. */
int endpoint_port(int listener);
/* From now on answer as this plan says; false where its answer cannot be read. */
bool endpoint_set(const struct plan *plan);
/* Since the last time it was asked. */
struct endpoint_count endpoint_take_count(int listener);
/* Does what is due; when the next thing is, INT64_MAX for never. */
int64_t endpoint_tick(int64_t now);

#endif
