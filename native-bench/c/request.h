/* The bytes that a run sends again and again. Only the digits of user and model change from one request to the next. */
#ifndef BENCH_REQUEST_H
#define BENCH_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "plan.h"

struct request {
  char *bytes;
  size_t length;
  size_t user_at;
  size_t model_at; /* 0: no model in the path */
};

/* Of a plan whose body can be read; may be made anew. */
void request_make(struct request *request, const struct plan *plan);
/* Changes it in place: what is still to be written of an earlier one is never so near the beginning. */
void request_vary(struct request *request, const struct plan *plan, uint64_t *chance);

#endif
