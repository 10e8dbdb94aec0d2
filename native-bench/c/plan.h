/* One run, as a line of `key=value` words asks for it. README.md beside this file lists the words. */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_TEXT_MAX 256
#define PLAN_HEADERS_MAX 16
#define PLAN_PROCESSES_MAX 16

struct plan {
  char to[PLAN_TEXT_MAX];
  char method[16];
  char path[PLAN_TEXT_MAX];
  char headers[PLAN_HEADERS_MAX][PLAN_TEXT_MAX];
  int header_count;
  /* A number of bytes of JSON, or `@FILE`. */
  char body[PLAN_TEXT_MAX];
  char answer[PLAN_TEXT_MAX];
  /* Answers that are errors on purpose: status of the endpoint, and what the client expects to see. */
  int status;
  int expected_status;
  int64_t delay_ns;
  /* Requests a second; 0: each connection asks again as soon as it is answered. */
  double rate;
  bool is_even;
  int connections;
  /* Requests a connection carries before the client replaces it; 0: all. */
  int churn;
  int users;
  int models;
  double seconds;
  double warm_seconds;
  uint64_t seed;
  bool is_verified;
  /* Streams of so many events instead of plain answers. */
  int events;
  int64_t every_ns;
  int event_bytes;
  /* Whose CPU time is counted, and on which core they are. */
  int processes[PLAN_PROCESSES_MAX];
  int process_count;
  int core;
};

/* False, with the reason on stderr, for a word that is not known. Changes `line`. */
bool plan_read(struct plan *plan, char *line);

struct content {
  char *bytes;
  size_t length;
};

/* What they stand for; read or made once and kept. NULL, told on stderr, for a file that is not there. */
const struct content *plan_body(const struct plan *plan);
const struct content *plan_answer(const struct plan *plan);

#endif
