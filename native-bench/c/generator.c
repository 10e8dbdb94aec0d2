#include "generator.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clock.h"
#include "cpu.h"
#include "histogram.h"
#include "message.h"
#include "request.h"
#include "socket.h"

#define READ_BYTES (1 << 20)
#define WAITING_MAX (1 << 16)
#define SOURCES 250
#define DRAIN_NS 2000000000LL
#define CONNECT_NS 10000000000LL
#define MARK "sent:"
#define MARK_DIGITS 16

enum phase { IDLE, CONNECTING, WARMING, MEASURING, DRAINING, HOLDING };

struct client {
  struct handler handler;
  int file;
  bool is_connected;
  bool is_busy;
  int carried;
  int64_t due_at; /* of the request that is under way */
  int64_t last_event_at;
  int64_t last_event_sent;
  int events;
  int marked; /* how much of an event's mark was seen, and the time behind it */
  int64_t mark;
  int status;
  size_t unsent;
  bool waits_for_room;
  size_t body_at;
  bool is_wrong;
  struct message message;
};

struct tally {
  uint64_t sent, answered, failed, wrong_status, wrong_body, starved, dropped, unanswered, opened, events;
};

static struct plan plan;
static int loop_file;
static enum phase phase;
static struct client *clients;
static int client_count;
static int connected;
static struct client **idle;
static int idle_count;
static int64_t *waiting; /* when those were due that found no connection free */
static unsigned waiting_first, waiting_count;
static struct request request;
static const struct content *expected;
static char read_buffer[READ_BYTES];
static uint64_t chance;
static int source;
static int64_t next_due, phase_ends, began_at, ended_at;
static struct tally tally;
static struct histogram latency, lag, first_event, event_delay, event_stretch;
static struct cpu_time cpu_before, cpu_after;
static char first_problem[200];

static void ask(struct client *client, int64_t due_at);
static void client_ready(struct handler *handler, uint32_t events);

static void problem(const char *what) {
  if (first_problem[0] == 0) snprintf(first_problem, sizeof first_problem, "%s", what);
}

static bool counts(int64_t due_at) { return due_at >= began_at && began_at > 0 && (ended_at == 0 || due_at < ended_at); }

static void open_client(struct client *client) {
  source = source % SOURCES + 1;
  client->file = socket_connect(plan.to, source);
  client->is_connected = false;
  client->is_busy = false;
  client->carried = 0;
  client->unsent = 0;
  client->waits_for_room = false;
  message_reset(&client->message);
  if (began_at > 0) tally.opened++;
  if (client->file >= 0) watch(loop_file, client->file, EPOLLOUT, &client->handler);
  else problem("cannot connect");
}

static void close_client(struct client *client) {
  if (client->file >= 0) close(client->file);
  client->file = -1;
}

static void fail(struct client *client, const char *what) {
  bool was_busy = client->is_busy;
  if (was_busy) {
    problem(what);
    tally.failed++;
  }
  if (!was_busy && client->is_connected) {
    for (int index = 0; index < idle_count; index++) {
      if (idle[index] == client) idle[index--] = idle[--idle_count];
    }
  }
  close_client(client);
  if (!client->is_connected) problem("a connection was refused or broke before it was used");
  if (phase == IDLE || phase == HOLDING) return;
  if (!client->is_connected && phase == CONNECTING) {
    phase_ends = 0;
    return;
  }
  open_client(client);
}

/* A client that may ask: takes what waits, or waits itself. */
static void go_on(struct client *client) {
  client->is_busy = false;
  if (phase == IDLE || phase == HOLDING || phase == CONNECTING || phase == DRAINING) {
    if (phase == DRAINING && waiting_count > 0 && plan.rate > 0) {
      waiting_count--;
      ask(client, waiting[waiting_first++ % WAITING_MAX]);
      return;
    }
    idle[idle_count++] = client;
    return;
  }
  if (plan.rate == 0) return ask(client, now_ns());
  if (waiting_count > 0) {
    waiting_count--;
    return ask(client, waiting[waiting_first++ % WAITING_MAX]);
  }
  idle[idle_count++] = client;
}

static bool push_request(struct client *client) {
  ssize_t taken = write(client->file, request.bytes + request.length - client->unsent, client->unsent);
  if (taken < 0 && errno != EAGAIN) return false;
  if (taken > 0) client->unsent -= (size_t)taken;
  bool waits = client->unsent > 0;
  if (waits != client->waits_for_room)
    watch_again(loop_file, client->file, waits ? EPOLLIN | EPOLLOUT : EPOLLIN, &client->handler);
  client->waits_for_room = waits;
  return true;
}

static void ask(struct client *client, int64_t due_at) {
  client->is_busy = true;
  client->due_at = due_at;
  client->body_at = 0;
  client->is_wrong = false;
  client->events = 0;
  client->marked = 0;
  client->carried++;
  client->unsent = request.length;
  request_vary(&request, &plan, &chance);
  if (counts(due_at)) tally.sent++;
  if (!push_request(client)) fail(client, "writing a request failed");
}

static void answered(struct client *client, int64_t now) {
  /* CPU is divided by what was answered in the window, whenever it was due. */
  if (phase == MEASURING) tally.answered++;
  if (counts(client->due_at)) histogram_record(&latency, now - client->due_at);
  if (plan.expected_status != 0 && client->status != plan.expected_status) {
    tally.wrong_status++;
    char text[40];
    snprintf(text, sizeof text, "status %d", client->status);
    problem(text);
  }
  if (plan.events > 0 && client->events != plan.events) client->is_wrong = true;
  if (plan.is_verified && plan.events == 0 && client->body_at != expected->length) client->is_wrong = true;
  if (client->is_wrong) {
    tally.wrong_body++;
    problem("a body was not what the endpoint sent");
  }
  if (client->message.is_last || (plan.churn > 0 && client->carried >= plan.churn && phase != HOLDING)) {
    client->is_busy = false;
    close_client(client);
    open_client(client);
    client->due_at = now;
    return;
  }
  go_on(client);
}

static void came(struct client *client, int64_t sent, int64_t now) {
  if (counts(now)) {
    tally.events++;
    histogram_record(&event_delay, now - sent);
    if (client->events == 0) histogram_record(&first_event, now - client->due_at);
    /* How much longer the gap between two events became on the way; shorter counts as none. */
    else histogram_record(&event_stretch, (now - client->last_event_at) - (sent - client->last_event_sent));
  }
  client->events++;
  client->last_event_at = now;
  client->last_event_sent = sent;
}

/* Events carry when they were written. They may be cut anywhere, so the mark is followed byte by byte. */
static void take_events(struct client *client, struct slice piece, int64_t now) {
  for (const char *at = piece.at; at < piece.at + piece.length; at++) {
    if (client->marked < (int)sizeof MARK - 1) {
      if (*at != MARK[client->marked]) client->marked = 0;
      if (*at == MARK[client->marked]) client->marked++;
      client->mark = 0;
      continue;
    }
    client->mark = client->mark * 10 + (*at - '0');
    if (++client->marked < (int)sizeof MARK - 1 + MARK_DIGITS) continue;
    client->marked = 0;
    came(client, client->mark, now);
  }
}

static void take_body(struct client *client, struct slice piece, int64_t now) {
  if (plan.events > 0) return take_events(client, piece, now);
  if (plan.is_verified && (client->body_at + piece.length > expected->length ||
                           memcmp(expected->bytes + client->body_at, piece.at, piece.length) != 0))
    client->is_wrong = true;
  client->body_at += piece.length;
}

static void take(struct client *client, const char *at, const char *end, int64_t now) {
  struct slice piece;
  for (;;) {
    switch (message_next(&client->message, &at, end, &piece)) {
      case MESSAGE_MORE: return;
      case MESSAGE_BAD: return fail(client, "an answer was no HTTP");
      case MESSAGE_HEAD:
        client->status = piece.length > 12 ? atoi(piece.at + 9) : 0;
        if (!client->is_busy) return fail(client, "an answer that nobody asked for");
        break;
      case MESSAGE_BODY: take_body(client, piece, now); break;
      /* A client that was answered may have asked again, or be gone. */
      case MESSAGE_END: return answered(client, now);
    }
  }
}

static void client_ready(struct handler *handler, uint32_t events) {
  struct client *client = (struct client *)handler;
  if (!client->is_connected) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) return fail(client, "connecting failed");
    client->is_connected = true;
    connected++;
    watch_again(loop_file, client->file, EPOLLIN, handler);
    /* A connection that replaces another is part of what its request costs. */
    if (plan.rate == 0 && client->due_at > 0 && (phase == WARMING || phase == MEASURING)) return ask(client, client->due_at);
    return go_on(client);
  }
  if ((events & EPOLLOUT) != 0 && !push_request(client)) return fail(client, "writing a request failed");
  if ((events & ~(uint32_t)EPOLLOUT) == 0) return;
  ssize_t length = read(client->file, read_buffer, sizeof read_buffer);
  if (length < 0 && errno == EAGAIN) return;
  if (length <= 0) return fail(client, "a connection was closed before its answer");
  take(client, read_buffer, read_buffer + length, now_ns());
}

static int64_t interval(void) {
  double mean = 1e9 / plan.rate;
  if (plan.is_even) return (int64_t)mean;
  double unit = (double)((random_next(&chance) >> 11) + 1) / 9007199254740993.0;
  return (int64_t)(-log(unit) * mean);
}

static void send_due(int64_t now) {
  while (next_due <= now) {
    if (idle_count > 0) {
      if (counts(next_due)) histogram_record(&lag, now - next_due);
      ask(idle[--idle_count], next_due);
      now = now_ns();
    } else if (waiting_count < WAITING_MAX) {
      waiting[(waiting_first + waiting_count++) % WAITING_MAX] = next_due;
      if (counts(next_due)) tally.starved++;
    } else if (counts(next_due)) {
      tally.dropped++;
    }
    next_due += interval();
  }
}

static void read_cpu(struct cpu_time *time) { cpu_read(time, plan.processes, plan.process_count, plan.core); }

/* Those that are free begin; with a rate, they wait for what is due. */
static void start_all(int64_t now) {
  next_due = now;
  if (plan.rate > 0) return;
  for (int left = idle_count, index = 0; index < left; index++) ask(idle[--idle_count], now_ns());
}

static void end_run(void) {
  phase = IDLE;
  for (int index = 0; index < client_count; index++) {
    close_client(&clients[index]);
    message_free(&clients[index].message);
  }
}

static void next_phase(int64_t now) {
  if (phase == CONNECTING) {
    phase = WARMING;
    phase_ends = now + (int64_t)(plan.warm_seconds * 1e9);
    start_all(now);
  } else if (phase == WARMING) {
    read_cpu(&cpu_before);
    phase = MEASURING;
    began_at = now_ns();
    if (plan.rate > 0) next_due = began_at + interval();
    phase_ends = began_at + (int64_t)(plan.seconds * 1e9);
  } else if (phase == MEASURING) {
    ended_at = now;
    phase = DRAINING;
    read_cpu(&cpu_after);
    phase_ends = now + DRAIN_NS;
  } else {
    tally.unanswered = (uint64_t)(client_count - idle_count) + waiting_count;
    end_run();
  }
}

int64_t generator_tick(int64_t now) {
  if (phase == IDLE || phase == HOLDING) return INT64_MAX;
  if (phase == CONNECTING && connected == client_count) next_phase(now);
  if (phase == CONNECTING && now > phase_ends) {
    problem("not all connections could be opened in time");
    end_run();
    return INT64_MAX;
  }
  if (phase == DRAINING && idle_count == client_count) next_phase(now);
  else if (phase != CONNECTING && now >= phase_ends) next_phase(now);
  if ((phase == WARMING || phase == MEASURING) && plan.rate > 0) {
    send_due(now_ns());
    return next_due < phase_ends ? next_due : phase_ends;
  }
  /* Where everything was answered before the end, nothing will come that could wake this. */
  if (phase == DRAINING && idle_count == client_count) return now;
  return phase == IDLE ? INT64_MAX : phase_ends;
}

static bool prepare(int loop, const struct plan *wanted) {
  plan = *wanted;
  loop_file = loop;
  expected = plan_answer(&plan);
  if (expected == NULL || plan_body(&plan) == NULL || plan.to[0] == 0) return false;
  request_make(&request, &plan);
  client_count = plan.connections;
  clients = realloc(clients, (size_t)client_count * sizeof *clients);
  idle = realloc(idle, (size_t)client_count * sizeof *idle);
  if (waiting == NULL) waiting = malloc(WAITING_MAX * sizeof *waiting);
  memset(clients, 0, (size_t)client_count * sizeof *clients);
  connected = idle_count = 0;
  waiting_first = waiting_count = 0;
  began_at = ended_at = 0;
  cpu_before.count = cpu_after.count = 0;
  chance = plan.seed * 0x9e3779b97f4a7c15ULL | 1;
  memset(&tally, 0, sizeof tally);
  first_problem[0] = 0;
  struct histogram *all[] = {&latency, &lag, &first_event, &event_delay, &event_stretch};
  for (size_t index = 0; index < sizeof all / sizeof *all; index++) histogram_reset(all[index]);
  return true;
}

static void open_all(void) {
  for (int index = 0; index < client_count; index++) {
    clients[index].handler.ready = client_ready;
    open_client(&clients[index]);
  }
}

bool generator_begin(int loop, const struct plan *wanted) {
  if (!prepare(loop, wanted)) return false;
  phase = CONNECTING;
  phase_ends = now_ns() + CONNECT_NS;
  open_all();
  return true;
}

bool generator_hold(int loop, const struct plan *wanted) {
  if (!prepare(loop, wanted)) return false;
  phase = HOLDING;
  open_all();
  return true;
}

void generator_release(void) { end_run(); }

bool generator_is_busy(void) { return phase != IDLE && phase != HOLDING; }

static void print_histogram(const char *name, const struct histogram *histogram) {
  printf(",\"%s\":", name);
  histogram_print(histogram, stdout);
}

void generator_print(void) {
  int64_t busiest;
  int64_t all = cpu_spent(&cpu_before, &cpu_after, &busiest);
  /* Not zero where a run ended before it began: every number below is finite. */
  double seconds = ended_at > began_at ? (double)(ended_at - began_at) / 1e9 : 1e-9;
  printf("{\"kind\":\"ran\",\"seconds\":%.6f,\"sent\":%llu,\"answered\":%llu,\"perSecond\":%.1f", seconds,
         (unsigned long long)tally.sent, (unsigned long long)tally.answered, (double)tally.answered / seconds);
  printf(",\"failed\":%llu,\"wrongStatus\":%llu,\"wrongBody\":%llu,\"starved\":%llu,\"dropped\":%llu,\"unanswered\":%llu,\"opened\":%llu",
         (unsigned long long)tally.failed, (unsigned long long)tally.wrong_status, (unsigned long long)tally.wrong_body,
         (unsigned long long)tally.starved, (unsigned long long)tally.dropped, (unsigned long long)tally.unanswered,
         (unsigned long long)tally.opened);
  printf(",\"problem\":\"%s\"", first_problem);
  printf(",\"cpuNs\":%lld,\"busiestThreadNs\":%lld,\"cpuUsPerRequest\":%.3f", (long long)all, (long long)busiest,
         tally.answered == 0 ? 0 : (double)all / 1000 / (double)tally.answered);
  printf(",\"coreBusyNs\":%lld,\"coreStolenNs\":%lld", (long long)(cpu_after.core_busy_ns - cpu_before.core_busy_ns),
         (long long)(cpu_after.core_stolen_ns - cpu_before.core_stolen_ns));
  print_histogram("latency", &latency);
  print_histogram("lag", &lag);
  if (plan.events > 0) {
    printf(",\"events\":%llu", (unsigned long long)tally.events);
    print_histogram("firstEvent", &first_event);
    print_histogram("eventDelay", &event_delay);
    print_histogram("eventStretch", &event_stretch);
  }
}
