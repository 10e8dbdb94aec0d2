#include "cpu.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void read_process(struct cpu_time *time, int process) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task", process);
  DIR *folder = opendir(path);
  if (folder == NULL) return;
  for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
    int thread = atoi(entry->d_name);
    if (thread == 0 || time->count == CPU_THREADS_MAX) continue;
    snprintf(path, sizeof path, "/proc/%d/task/%d/schedstat", process, thread);
    FILE *file = fopen(path, "r");
    long long ns;
    if (file == NULL) continue;
    if (fscanf(file, "%lld", &ns) == 1) {
      time->threads[time->count] = thread;
      time->ns[time->count++] = ns;
    }
    fclose(file);
  }
  closedir(folder);
}

static void read_core(struct cpu_time *time, int core) {
  char line[512], name[16];
  FILE *file = fopen("/proc/stat", "r");
  if (file == NULL) return;
  int length = snprintf(name, sizeof name, "cpu%d ", core);
  int64_t tick = 1000000000 / sysconf(_SC_CLK_TCK);
  while (fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, name, (size_t)length) != 0) continue;
    long long user, nice, system, idle, wait, irq, soft, steal;
    if (sscanf(line + length, "%lld %lld %lld %lld %lld %lld %lld %lld", &user, &nice, &system, &idle, &wait, &irq,
               &soft, &steal) == 8) {
      time->core_busy_ns = (user + nice + system + irq + soft + steal) * tick;
      time->core_stolen_ns = steal * tick;
    }
    break;
  }
  fclose(file);
}

void cpu_read(struct cpu_time *time, const int *processes, int count, int core) {
  time->count = 0;
  time->core_busy_ns = time->core_stolen_ns = 0;
  read_core(time, core);
  for (int index = 0; index < count; index++) read_process(time, processes[index]);
}

int64_t cpu_spent(const struct cpu_time *before, const struct cpu_time *after, int64_t *busiest) {
  int64_t all = 0;
  *busiest = 0;
  for (int index = 0; index < after->count; index++) {
    int64_t spent = after->ns[index];
    for (int other = 0; other < before->count; other++) {
      if (before->threads[other] == after->threads[index]) spent -= before->ns[other];
    }
    all += spent;
    if (spent > *busiest) *busiest = spent;
  }
  return all;
}
