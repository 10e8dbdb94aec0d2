/*
 * CPU time of other processes, thread by thread, from the scheduler's own account (ns, kernel included), and how
 * busy a core was. Linux only.
 */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

#include <stdint.h>

#define CPU_THREADS_MAX 512

struct cpu_time {
  int count;
  int threads[CPU_THREADS_MAX];
  int64_t ns[CPU_THREADS_MAX];
  /* Of the core, in steps of 10 ms. */
  int64_t core_busy_ns;
  int64_t core_stolen_ns;
};

void cpu_read(struct cpu_time *time, const int *processes, int count, int core);
/* ns of all threads between two readings; `busiest` gets those of the thread that did most. */
int64_t cpu_spent(const struct cpu_time *before, const struct cpu_time *after, int64_t *busiest);

#endif
