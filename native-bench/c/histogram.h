/*
 * Counts of durations in buckets whose width grows with the value: exact below 256 ns, at most 0.8 % wide above.
 * Buckets of several histograms may be added up; quantiles may not. rig/histogram.ts reads the same layout.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_BITS 7
#define HISTOGRAM_STEPS (1 << HISTOGRAM_BITS)
/* Up to 2^42 ns, more than an hour; what is longer counts as that. */
#define HISTOGRAM_BUCKETS ((42 - HISTOGRAM_BITS + 1) * HISTOGRAM_STEPS)

struct histogram {
  uint64_t count;
  int64_t max;
  uint32_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_reset(struct histogram *histogram);
void histogram_record(struct histogram *histogram, int64_t ns);
/* The upper end of the bucket in which the value of that rank lies (nearest rank); 0 of nothing. */
int64_t histogram_quantile(const struct histogram *histogram, double share);
/* A JSON object: quantiles in µs for people, "buckets" as index, count, index, count … for adding up. */
void histogram_print(const struct histogram *histogram, FILE *out);

#endif
