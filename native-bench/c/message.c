#include "message.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { IN_HEAD, IN_BODY, IN_SIZE, IN_CHUNK, BEHIND_CHUNK, IN_TRAILER, AT_END };

void message_reset(struct message *message) {
  message->state = IN_HEAD;
  message->left = 0;
  message->held_length = 0;
  message->is_last = false;
}

void message_free(struct message *message) {
  free(message->held);
  message->held = NULL;
}

static bool is_line(const char *line, const char *end, const char *name) {
  size_t length = strlen(name);
  return (size_t)(end - line) > length && strncasecmp(line, name, length) == 0;
}

/* Looks at the few lines that frame a message or end a connection. */
static bool read_head(struct message *message, const char *head, size_t length) {
  const char *end = head + length;
  message->state = AT_END;
  for (const char *line = memchr(head, '\n', length); line != NULL && line + 1 < end;
       line = memchr(line, '\n', (size_t)(end - line))) {
    line++;
    char first = *line | 0x20;
    if (first == 'c' && is_line(line, end, "content-length:")) {
      message->left = strtoll(line + 15, NULL, 10);
      if (message->left < 0) return false;
      message->state = message->left > 0 ? IN_BODY : AT_END;
    } else if (first == 't' && is_line(line, end, "transfer-encoding: chunked")) {
      message->state = IN_SIZE;
      message->left = 0;
    } else if (first == 'c' && is_line(line, end, "connection: close")) {
      message->is_last = true;
    }
  }
  return true;
}

static enum message_step take_head(struct message *message, const char **at, const char *end, struct slice *piece) {
  size_t length = (size_t)(end - *at);
  if (message->held_length == 0) {
    const char *found = memmem(*at, length, "\r\n\r\n", 4);
    if (found != NULL) {
      *piece = (struct slice){*at, (size_t)(found + 4 - *at)};
      *at = found + 4;
      return read_head(message, piece->at, piece->length) ? MESSAGE_HEAD : MESSAGE_BAD;
    }
  }
  if (message->held == NULL) message->held = malloc(MESSAGE_HEAD_MAX);
  size_t before = message->held_length;
  size_t room = MESSAGE_HEAD_MAX - before;
  size_t taken = length < room ? length : room;
  memcpy(message->held + before, *at, taken);
  message->held_length += taken;
  size_t from = before > 3 ? before - 3 : 0;
  const char *found = memmem(message->held + from, message->held_length - from, "\r\n\r\n", 4);
  if (found == NULL) {
    *at += taken;
    return message->held_length == MESSAGE_HEAD_MAX ? MESSAGE_BAD : MESSAGE_MORE;
  }
  size_t whole = (size_t)(found + 4 - message->held);
  *at += whole - before;
  message->held_length = 0;
  *piece = (struct slice){message->held, whole};
  return read_head(message, piece->at, whole) ? MESSAGE_HEAD : MESSAGE_BAD;
}

static enum message_step take_body(struct message *message, const char **at, const char *end, struct slice *piece) {
  int64_t here = end - *at;
  if (here > message->left) here = message->left;
  *piece = (struct slice){*at, (size_t)here};
  *at += here;
  message->left -= here;
  if (message->left == 0) message->state = message->state == IN_BODY ? AT_END : BEHIND_CHUNK;
  return MESSAGE_BODY;
}

static int digit(char byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  byte |= 0x20;
  return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* One byte of what stands between chunks; false where it is not what it should be. */
static bool take_framing(struct message *message, char byte) {
  if (message->state == IN_SIZE) {
    int value = digit(byte);
    if (value >= 0) message->left = message->left * 16 + value;
    else if (byte == '\n') message->state = message->left > 0 ? IN_CHUNK : IN_TRAILER;
    else if (byte != '\r') return false;
    if (message->state == IN_TRAILER) message->left = 0;
  } else if (message->state == BEHIND_CHUNK) {
    if (byte == '\n') message->state = IN_SIZE;
    else if (byte != '\r') return false;
  } else if (byte == '\n') {
    if (message->left == 0) message->state = AT_END;
    message->left = 0;
  } else if (byte != '\r') {
    message->left++;
  }
  return true;
}

enum message_step message_next(struct message *message, const char **at, const char *end, struct slice *piece) {
  for (;;) {
    if (message->state == AT_END) {
      bool is_last = message->is_last;
      message_reset(message);
      message->is_last = is_last;
      return MESSAGE_END;
    }
    if (*at == end) return MESSAGE_MORE;
    if (message->state == IN_HEAD) return take_head(message, at, end, piece);
    if (message->state == IN_BODY || message->state == IN_CHUNK) return take_body(message, at, end, piece);
    if (!take_framing(message, *(*at)++)) return MESSAGE_BAD;
  }
}
