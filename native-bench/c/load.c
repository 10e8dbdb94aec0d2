/*
 * Open-loop generator and endpoint in one process and one event loop: `load PLACE…` listens at each place (a port
 * of 127.0.0.1, 0 for any free one, or `unix:PATH`), says so, and carries out the commands it reads, one a line:
 *
 *   run key=value …    asks as told and answers with one line of JSON
 *   hold key=value …   opens connections, asks once on each, and keeps them; `release` closes them
 *   count              what reached each place since the last count
 *
 * The end of its input ends it. Keys: plan.c; what they mean: README.md beside this file.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"
#include "endpoint.h"
#include "generator.h"
#include "socket.h"

/* Few at a time, so that what is due does not wait for a long turn. */
#define EVENTS_MAX 16
#define LINE_MAX_BYTES 8192

static char line[LINE_MAX_BYTES];
static size_t line_length;
static bool is_at_end;
static bool is_running;

static void print_counts(void) {
  printf("\"endpoints\":[");
  for (int index = 0; index < endpoint_listeners(); index++) {
    struct endpoint_count count = endpoint_take_count(index);
    printf("%s{\"connections\":%llu,\"requests\":%llu,\"wrongBodies\":%llu}", index == 0 ? "" : ",",
           (unsigned long long)count.connections, (unsigned long long)count.requests,
           (unsigned long long)count.wrong_bodies);
  }
  printf("]}\n");
  fflush(stdout);
}

static void refuse(void) { printf("{\"kind\":\"refused\"}\n"); fflush(stdout); }

static void obey(int loop, char *command) {
  struct plan plan;
  char *words = strchr(command, ' ');
  if (words != NULL) *words++ = 0;
  bool is_run = strcmp(command, "run") == 0;
  if (is_run || strcmp(command, "hold") == 0) {
    if (!plan_read(&plan, words == NULL ? command + strlen(command) : words) || !endpoint_set(&plan)) return refuse();
    if (is_run) is_running = generator_begin(loop, &plan);
    if (is_run ? !is_running : !generator_hold(loop, &plan)) return refuse();
    if (is_run) return;
    printf("{\"kind\":\"held\"}\n");
  } else if (strcmp(command, "release") == 0) {
    generator_release();
    printf("{\"kind\":\"released\"}\n");
  } else if (strcmp(command, "count") == 0) {
    printf("{\"kind\":\"counted\",");
    return print_counts();
  } else if (command[0] != 0) {
    fprintf(stderr, "no such command: %s\n", command);
    return refuse();
  }
  fflush(stdout);
}

/* One command at a time: what stands behind it waits until it is done. */
static void next_command(int loop) {
  while (!is_running) {
    char *end = memchr(line, '\n', line_length);
    if (end == NULL) return;
    *end = 0;
    static char command[LINE_MAX_BYTES];
    size_t length = (size_t)(end + 1 - line);
    memcpy(command, line, length);
    memmove(line, end + 1, line_length -= length);
    obey(loop, command);
  }
}

static void input_ready(struct handler *handler, uint32_t events) {
  (void)handler;
  (void)events;
  ssize_t length = read(STDIN_FILENO, line + line_length, sizeof line - line_length);
  if (length > 0) line_length += (size_t)length;
  if (length == 0 || line_length == sizeof line) is_at_end = true;
}

static int wait_ready(int loop, struct epoll_event *events, int64_t until) {
  if (until == INT64_MAX) return epoll_wait(loop, events, EVENTS_MAX, -1);
  int64_t left = until - now_ns();
  if (left <= 0) return epoll_wait(loop, events, EVENTS_MAX, 0);
  struct timespec patience = {left / 1000000000, left % 1000000000};
  return epoll_pwait2(loop, events, EVENTS_MAX, &patience, NULL);
}

static void turn(int loop) {
  struct epoll_event events[EVENTS_MAX];
  int64_t now = now_ns();
  int64_t until = generator_tick(now);
  int64_t answers_until = endpoint_tick(now);
  if (is_running && !generator_is_busy()) {
    is_running = false;
    generator_print();
    putchar(',');
    print_counts();
  }
  bool was_running = is_running;
  next_command(loop);
  if (is_running && !was_running) until = now;
  int count = wait_ready(loop, events, until < answers_until ? until : answers_until);
  for (int index = 0; index < count; index++) {
    struct handler *handler = events[index].data.ptr;
    handler->ready(handler, events[index].events);
  }
}

int main(int count, char **places) {
  struct rlimit files = {.rlim_cur = 0};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_TIMERSLACK, 1);
  int loop = epoll_create1(EPOLL_CLOEXEC);
  for (int index = 1; index < count; index++) {
    if (endpoint_listen(loop, places[index]) < 0) return 1;
  }
  /* Whoever asks before the first run gets an answer, too. */
  struct plan usual;
  char no_words[] = "";
  if (!plan_read(&usual, no_words) || !endpoint_set(&usual)) return 1;
  struct handler input = {input_ready};
  fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
  watch(loop, STDIN_FILENO, EPOLLIN, &input);
  printf("{\"kind\":\"ready\",\"ports\":[");
  for (int index = 0; index < endpoint_listeners(); index++)
    printf("%s%d", index == 0 ? "" : ",", endpoint_port(index));
  printf("]}\n");
  fflush(stdout);
  while (!is_at_end || is_running || memchr(line, '\n', line_length) != NULL) turn(loop);
  return 0;
}
