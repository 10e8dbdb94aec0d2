#include "histogram.h"

#include <string.h>

void histogram_reset(struct histogram *histogram) { memset(histogram, 0, sizeof *histogram); }

static int bucket_of(uint64_t ns) {
  if (ns < 2 * HISTOGRAM_STEPS) return (int)ns;
  int shift = 63 - __builtin_clzll(ns) - HISTOGRAM_BITS;
  int bucket = shift * HISTOGRAM_STEPS + (int)(ns >> shift);
  return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static int64_t upper_end(int bucket) {
  if (bucket < 2 * HISTOGRAM_STEPS) return bucket;
  int shift = bucket / HISTOGRAM_STEPS - 1;
  int64_t step = bucket - shift * HISTOGRAM_STEPS;
  return ((step + 1) << shift) - 1;
}

void histogram_record(struct histogram *histogram, int64_t ns) {
  if (ns < 0) ns = 0;
  histogram->count++;
  if (ns > histogram->max) histogram->max = ns;
  histogram->buckets[bucket_of((uint64_t)ns)]++;
}

int64_t histogram_quantile(const struct histogram *histogram, double share) {
  if (histogram->count == 0) return 0;
  double exact = share * (double)histogram->count;
  uint64_t rank = (uint64_t)exact;
  if ((double)rank < exact) rank++;
  if (rank < 1) rank = 1;
  uint64_t seen = 0;
  for (int bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
    seen += histogram->buckets[bucket];
    if (seen < rank) continue;
    int64_t end = upper_end(bucket);
    return end < histogram->max ? end : histogram->max;
  }
  return histogram->max;
}

static double us(int64_t ns) { return (double)ns / 1000; }

void histogram_print(const struct histogram *histogram, FILE *out) {
  fprintf(out, "{\"count\":%llu,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f,\"buckets\":[",
          (unsigned long long)histogram->count, us(histogram_quantile(histogram, 0.5)),
          us(histogram_quantile(histogram, 0.9)), us(histogram_quantile(histogram, 0.99)),
          us(histogram_quantile(histogram, 0.999)), us(histogram->max));
  const char *comma = "";
  for (int bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
    if (histogram->buckets[bucket] == 0) continue;
    fprintf(out, "%s%d,%u", comma, bucket, histogram->buckets[bucket]);
    comma = ",";
  }
  fputs("]}", out);
}
