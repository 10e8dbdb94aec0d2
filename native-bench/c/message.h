/*
 * Where a message of HTTP/1.1 ends: just enough for peers that behave (one Content-Length, or chunks, or neither
 * and then no body). Resumable at any byte. It proves nothing about a message and must never face strangers.
 */
#ifndef BENCH_MESSAGE_H
#define BENCH_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_HEAD_MAX 16384

enum message_step {
  MESSAGE_MORE, /* everything was taken; bytes are missing */
  MESSAGE_HEAD, /* `piece` is the whole head, its empty line included */
  MESSAGE_BODY, /* `piece` is some of the body, without the framing of chunks */
  MESSAGE_END,
  MESSAGE_BAD,
};

struct slice {
  const char *at;
  size_t length;
};

struct message {
  int state;
  int64_t left;
  char *held; /* a head of which only the beginning came */
  size_t held_length;
  bool is_last; /* the sender said `connection: close` */
};

void message_reset(struct message *message);
void message_free(struct message *message);
/* Takes from [*at, end) and says what it found; call again until it says MORE. */
enum message_step message_next(struct message *message, const char **at, const char *end, struct slice *piece);

#endif
