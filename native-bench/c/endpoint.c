#include "endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "clock.h"
#include "message.h"
#include "socket.h"

#define READ_BYTES (1 << 20)
#define REPLIES_MAX 64
#define PIECES_MAX 16
#define EVENT_BYTES_MAX 8192

struct reply {
  char key[PLAN_TEXT_MAX + 16];
  char *bytes;
  size_t length;
};

struct listener {
  struct handler handler;
  int file;
  int port;
  struct endpoint_count count;
};

struct visitor {
  struct handler handler;
  int file; /* -1: gone, and freed when nothing is due for it any more */
  struct listener *listener;
  struct message message;
  size_t body_at;
  /* Answers to be written: all of them are `reply`, of the first of which `written` bytes have left. */
  int answers;
  const struct reply *reply;
  size_t written;
  bool waits_for_room;
  int due;
  int events_left;
};

struct due {
  int64_t at;
  struct visitor *visitor;
};

static int loop_file;
static struct listener listeners[LISTENERS_MAX];
static int listener_count;
static struct reply replies[REPLIES_MAX];
static int reply_count;
static const struct reply *reply;
static const struct content *expected;
static struct plan plan;
static char read_buffer[READ_BYTES];
static struct due *heap;
static int heap_count, heap_room;

static void heap_push(int64_t at, struct visitor *visitor) {
  if (heap_count == heap_room) {
    heap_room = heap_room == 0 ? 256 : heap_room * 2;
    heap = realloc(heap, (size_t)heap_room * sizeof *heap);
  }
  int place = heap_count++;
  for (; place > 0 && heap[(place - 1) / 2].at > at; place = (place - 1) / 2) heap[place] = heap[(place - 1) / 2];
  heap[place] = (struct due){at, visitor};
  visitor->due++;
}

static struct visitor *heap_pop(void) {
  struct visitor *first = heap[0].visitor;
  struct due last = heap[--heap_count];
  int place = 0;
  for (int child = 1; child < heap_count; child = 2 * place + 1) {
    if (child + 1 < heap_count && heap[child + 1].at < heap[child].at) child++;
    if (heap[child].at >= last.at) break;
    heap[place] = heap[child];
    place = child;
  }
  if (heap_count > 0) heap[place] = last;
  first->due--;
  return first;
}

static void leave(struct visitor *visitor) {
  if (visitor->file >= 0) close(visitor->file);
  visitor->file = -1;
  if (visitor->due > 0) return;
  message_free(&visitor->message);
  free(visitor);
}

/* Writes the answers that are due, several at once where a client sent several requests; false: it is gone. */
static bool flush(struct visitor *visitor) {
  while (visitor->answers > 0) {
    struct iovec pieces[PIECES_MAX];
    int count = visitor->answers < PIECES_MAX ? visitor->answers : PIECES_MAX;
    for (int index = 0; index < count; index++) {
      size_t from = index == 0 ? visitor->written : 0;
      pieces[index] = (struct iovec){visitor->reply->bytes + from, visitor->reply->length - from};
    }
    ssize_t taken = count == 1 ? write(visitor->file, pieces[0].iov_base, pieces[0].iov_len)
                               : writev(visitor->file, pieces, count);
    if (taken < 0 && errno != EAGAIN) return false;
    if (taken < 0) {
      if (!visitor->waits_for_room) watch_again(loop_file, visitor->file, EPOLLIN | EPOLLOUT, &visitor->handler);
      visitor->waits_for_room = true;
      return true;
    }
    visitor->written += (size_t)taken;
    while (visitor->answers > 0 && visitor->written >= visitor->reply->length) {
      visitor->written -= visitor->reply->length;
      visitor->answers--;
    }
  }
  if (visitor->waits_for_room) watch_again(loop_file, visitor->file, EPOLLIN, &visitor->handler);
  visitor->waits_for_room = false;
  return true;
}

static void answer(struct visitor *visitor) {
  if (visitor->answers == 0) visitor->reply = reply;
  visitor->answers++;
}

/* One event of a stream, in the form of a chat completion chunk that carries when it was written. */
static bool send_event(struct visitor *visitor) {
  static const char end[] = "\"},\"finish_reason\":null}]}\n\n";
  char text[EVENT_BYTES_MAX + 512], chunk[EVENT_BYTES_MAX + 1024];
  int length = snprintf(text, sizeof text,
                        "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
                        "\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"sent:%016lld ",
                        (long long)now_ns());
  while (length + (int)sizeof end - 1 < plan.event_bytes) text[length++] = '.';
  memcpy(text + length, end, sizeof end - 1);
  length += (int)sizeof end - 1;
  visitor->events_left--;
  const char *last = visitor->events_left == 0 ? "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n" : "";
  int whole = snprintf(chunk, sizeof chunk, "%x\r\n%.*s\r\n%s", length, length, text, last);
  return write(visitor->file, chunk, (size_t)whole) == whole;
}

static bool begin_stream(struct visitor *visitor, int64_t now) {
  static const char head[] =
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\ntransfer-encoding: chunked\r\n\r\n";
  static uint64_t chance = 88172645463325252ULL;
  visitor->events_left = plan.events;
  if (write(visitor->file, head, sizeof head - 1) != sizeof head - 1 || !send_event(visitor)) return false;
  /* Streams that were asked for at one moment would go on in step: each has its own place between two events. */
  int64_t offset = (int64_t)(random_next(&chance) % (uint64_t)plan.every_ns);
  if (visitor->events_left > 0) heap_push(now + plan.every_ns / 2 + offset, visitor);
  return true;
}

static bool asked(struct visitor *visitor) {
  visitor->listener->count.requests++;
  if (plan.is_verified && visitor->body_at != expected->length) visitor->listener->count.wrong_bodies++;
  visitor->body_at = 0;
  if (plan.events > 0) return begin_stream(visitor, now_ns());
  if (plan.delay_ns > 0) heap_push(now_ns() + plan.delay_ns, visitor);
  else answer(visitor);
  return true;
}

static bool take(struct visitor *visitor, const char *at, const char *end) {
  struct slice piece;
  for (;;) {
    switch (message_next(&visitor->message, &at, end, &piece)) {
      case MESSAGE_MORE: return flush(visitor);
      case MESSAGE_BAD: return false;
      case MESSAGE_HEAD: break;
      case MESSAGE_BODY:
        if (plan.is_verified && (visitor->body_at + piece.length > expected->length ||
                                 memcmp(expected->bytes + visitor->body_at, piece.at, piece.length) != 0))
          visitor->listener->count.wrong_bodies++;
        visitor->body_at += piece.length;
        break;
      case MESSAGE_END:
        if (!asked(visitor)) return false;
        break;
    }
  }
}

static void visitor_ready(struct handler *handler, uint32_t events) {
  struct visitor *visitor = (struct visitor *)handler;
  if ((events & EPOLLOUT) != 0 && !flush(visitor)) return leave(visitor);
  if ((events & ~(uint32_t)EPOLLOUT) == 0) return;
  ssize_t length = read(visitor->file, read_buffer, sizeof read_buffer);
  if (length < 0 && errno == EAGAIN) return;
  if (length <= 0 || !take(visitor, read_buffer, read_buffer + length)) leave(visitor);
}

static void listener_ready(struct handler *handler, uint32_t events) {
  (void)events;
  struct listener *listener = (struct listener *)handler;
  for (int file = socket_accept(listener->file); file >= 0; file = socket_accept(listener->file)) {
    struct visitor *visitor = calloc(1, sizeof *visitor);
    visitor->handler.ready = visitor_ready;
    visitor->file = file;
    visitor->listener = listener;
    message_reset(&visitor->message);
    listener->count.connections++;
    watch(loop_file, file, EPOLLIN, &visitor->handler);
  }
}

int endpoint_listen(int loop, const char *place) {
  loop_file = loop;
  if (listener_count == LISTENERS_MAX) return -1;
  struct listener *listener = &listeners[listener_count];
  listener->handler.ready = listener_ready;
  listener->file = socket_listen(place);
  if (listener->file < 0) return -1;
  listener->port = strncmp(place, "unix:", 5) == 0 ? 0 : socket_port(listener->file);
  watch(loop, listener->file, EPOLLIN, &listener->handler);
  return listener_count++;
}

int endpoint_listeners(void) { return listener_count; }

int endpoint_port(int listener) { return listeners[listener].port; }

bool endpoint_set(const struct plan *next) {
  const struct content *body = plan_answer(next);
  expected = plan_body(next);
  if (body == NULL || expected == NULL) return false;
  plan = *next;
  char key[sizeof replies[0].key];
  snprintf(key, sizeof key, "%d %s", plan.status, plan.answer);
  for (int index = 0; index < reply_count; index++) {
    reply = &replies[index];
    if (strcmp(reply->key, key) == 0) return true;
  }
  if (reply_count == REPLIES_MAX) return false;
  struct reply *made = &replies[reply_count++];
  strcpy(made->key, key);
  made->bytes = malloc(body->length + 256);
  int head = sprintf(made->bytes, "HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n",
                     plan.status, plan.status < 400 ? "OK" : "Trouble", body->length);
  memcpy(made->bytes + head, body->bytes, body->length);
  made->length = (size_t)head + body->length;
  reply = made;
  return true;
}

struct endpoint_count endpoint_take_count(int listener) {
  struct endpoint_count count = listeners[listener].count;
  listeners[listener].count = (struct endpoint_count){0};
  return count;
}

int64_t endpoint_tick(int64_t now) {
  while (heap_count > 0 && heap[0].at <= now) {
    int64_t at = heap[0].at;
    struct visitor *visitor = heap_pop();
    bool is_here = visitor->file >= 0;
    if (is_here && visitor->events_left > 0) {
      is_here = send_event(visitor);
      if (is_here && visitor->events_left > 0) heap_push(at + plan.every_ns, visitor);
    } else if (is_here) {
      answer(visitor);
      is_here = flush(visitor);
    }
    if (!is_here) leave(visitor);
  }
  return heap_count > 0 ? heap[0].at : INT64_MAX;
}
