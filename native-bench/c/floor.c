/*
 * The floor: the least a proxy over epoll can do. `floor PORT TO` listens at a port of 127.0.0.1 (0: any) and passes
 * every request on to TO (a port, or `unix:PATH`), and the answer back; connections are kept on both sides.
 *
 * What it lacks is what makes it a floor: it believes every framing it sees, changes no header (hop-by-hop ones cross),
 * writes no log, counts nothing, has no timer and no limit, and when either side breaks it ends the other. For
 * measurements only.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "message.h"
#include "socket.h"

#define READ_BYTES (1 << 18)
#define EVENTS_MAX 64

/* One side of an exchange. What the other side could not be given yet waits in `kept`. */
struct side {
  struct handler handler;
  int file; /* -1: ended; the struct is freed at the end of the turn */
  bool is_client;
  bool is_connecting;
  struct side *other;
  struct side *next; /* among the idle or the ended */
  struct message message;
  char *kept;
  size_t kept_length;
};

static int loop_file, listener_file;
static const char *target;
static struct side *idle, *ended;
static char read_buffer[READ_BYTES];

static void side_ready(struct handler *handler, uint32_t events);

static struct side *new_side(int file, bool is_client, uint32_t events) {
  struct side *side = calloc(1, sizeof *side);
  side->handler.ready = side_ready;
  side->file = file;
  side->is_client = is_client;
  message_reset(&side->message);
  watch(loop_file, file, events, &side->handler);
  return side;
}

static void end(struct side *side) {
  if (side->file < 0) return;
  close(side->file);
  side->file = -1;
  for (struct side **place = &idle; *place != NULL; place = &(*place)->next) {
    if (*place != side) continue;
    *place = side->next;
    break;
  }
  side->next = ended;
  ended = side;
  struct side *other = side->other;
  side->other = NULL;
  if (other == NULL) return;
  other->other = NULL;
  end(other);
}

/* Reads of its partner stand still while something waits for room here. */
static void arm(struct side *side) {
  bool reads = side->other == NULL || side->other->kept_length == 0;
  bool writes = side->kept_length > 0 || side->is_connecting;
  watch_again(loop_file, side->file, (reads ? EPOLLIN : 0) | (writes ? EPOLLOUT : 0), &side->handler);
}

static void keep(struct side *side, const char *bytes, size_t length) {
  side->kept = realloc(side->kept, side->kept_length + length);
  memcpy(side->kept + side->kept_length, bytes, length);
  side->kept_length += length;
  arm(side);
  if (side->other != NULL) arm(side->other);
}

static bool give(struct side *side, const char *bytes, size_t length) {
  ssize_t taken = 0;
  if (side->kept_length == 0 && !side->is_connecting) {
    taken = send(side->file, bytes, length, MSG_NOSIGNAL);
    if (taken < 0 && errno != EAGAIN) return false;
    if (taken < 0) taken = 0;
  }
  if ((size_t)taken < length) keep(side, bytes + taken, length - (size_t)taken);
  return true;
}

/* An endpoint's connection goes back when it has given its whole answer. */
static void part(struct side *endpoint) {
  struct side *client = endpoint->other;
  endpoint->other = NULL;
  client->other = NULL;
  if (endpoint->message.is_last) return end(endpoint);
  endpoint->next = idle;
  idle = endpoint;
}

static bool find_endpoint(struct side *client) {
  struct side *endpoint = idle;
  if (endpoint != NULL) {
    idle = endpoint->next;
    endpoint->next = NULL;
  } else {
    int file = socket_connect(target, 0);
    if (file < 0) return false;
    endpoint = new_side(file, false, EPOLLIN | EPOLLOUT);
    endpoint->is_connecting = true;
  }
  client->other = endpoint;
  endpoint->other = client;
  return true;
}

static void take(struct side *side, const char *bytes, size_t length) {
  const char *at = bytes, *stop = bytes + length;
  struct slice piece;
  enum message_step step;
  if (side->is_client && side->other == NULL && !find_endpoint(side)) return end(side);
  if (side->other == NULL) return end(side);
  do step = message_next(&side->message, &at, stop, &piece);
  while (step == MESSAGE_HEAD || step == MESSAGE_BODY);
  /* Bytes behind the end would be a second request, or an answer nobody asked for. */
  if (step == MESSAGE_BAD || (step == MESSAGE_END && at != stop)) return end(side);
  struct side *other = side->other;
  if (!give(other, bytes, length)) return end(side);
  if (step == MESSAGE_END && !side->is_client) part(side);
}

static void push_kept(struct side *side) {
  side->is_connecting = false;
  ssize_t taken = side->kept_length == 0 ? 0 : send(side->file, side->kept, side->kept_length, MSG_NOSIGNAL);
  if (taken < 0 && errno != EAGAIN) return end(side);
  if (taken > 0) {
    side->kept_length -= (size_t)taken;
    memmove(side->kept, side->kept + taken, side->kept_length);
  }
  arm(side);
  if (side->other != NULL) arm(side->other);
}

static void side_ready(struct handler *handler, uint32_t events) {
  struct side *side = (struct side *)handler;
  if (side->file < 0) return;
  if ((events & EPOLLOUT) != 0) push_kept(side);
  if (side->file < 0 || (events & ~(uint32_t)EPOLLOUT) == 0) return;
  ssize_t length = read(side->file, read_buffer, sizeof read_buffer);
  if (length < 0 && errno == EAGAIN) return;
  if (length <= 0) return end(side);
  take(side, read_buffer, (size_t)length);
}

static void listener_ready(struct handler *handler, uint32_t events) {
  (void)handler;
  (void)events;
  for (int file = socket_accept(listener_file); file >= 0; file = socket_accept(listener_file))
    new_side(file, true, EPOLLIN);
}

static void free_ended(void) {
  while (ended != NULL) {
    struct side *side = ended;
    ended = side->next;
    message_free(&side->message);
    free(side->kept);
    free(side);
  }
}

int main(int count, char **words) {
  if (count != 3) {
    fprintf(stderr, "floor PORT TO\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  target = words[2];
  loop_file = epoll_create1(EPOLL_CLOEXEC);
  listener_file = socket_listen(words[1]);
  if (listener_file < 0) return 1;
  struct handler listener = {listener_ready};
  watch(loop_file, listener_file, EPOLLIN, &listener);
  printf("serving on http://127.0.0.1:%d\n", socket_port(listener_file));
  fflush(stdout);
  for (;;) {
    struct epoll_event events[EVENTS_MAX];
    int ready = epoll_wait(loop_file, events, EVENTS_MAX, -1);
    for (int index = 0; index < ready; index++) {
      struct handler *handler = events[index].data.ptr;
      handler->ready(handler, events[index].events);
    }
    free_ended();
  }
}
