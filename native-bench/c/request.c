#include "request.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define HEAD_MAX 8192
#define USER_DIGITS 7
#define MODEL_DIGITS 5
#define MODEL_SLOT "{model}"

/* The headers of the plan; true when the type of the body was among them. */
static bool write_headers(char *to, int *at, const struct plan *plan) {
  bool has_type = false;
  for (int index = 0; index < plan->header_count; index++) {
    const char *header = plan->headers[index];
    const char *colon = strchr(header, ':');
    if (colon == NULL) continue;
    has_type = has_type || strncmp(header, "content-type:", 13) == 0;
    *at += sprintf(to + *at, "%.*s: %s\r\n", (int)(colon - header), header, colon + 1);
  }
  return has_type;
}

void request_make(struct request *request, const struct plan *plan) {
  const struct content *body = plan_body(plan);
  const char *slot = strstr(plan->path, MODEL_SLOT);
  request->bytes = realloc(request->bytes, body->length + HEAD_MAX);
  char *to = request->bytes;
  int at = sprintf(to, "%s ", plan->method);
  request->model_at = slot == NULL ? 0 : (size_t)at + (size_t)(slot - plan->path);
  if (slot == NULL) at += sprintf(to + at, "%s", plan->path);
  else at += sprintf(to + at, "%.*s00000%s", (int)(slot - plan->path), plan->path, slot + sizeof MODEL_SLOT - 1);
  at += sprintf(to + at, " HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: bench\r\naccept: */*\r\nx-user-id: u0000000\r\n");
  request->user_at = (size_t)at - USER_DIGITS - 2;
  bool has_type = write_headers(to, &at, plan);
  bool has_body = strcmp(plan->method, "GET") != 0;
  if (has_body && !has_type) at += sprintf(to + at, "content-type: application/json\r\n");
  if (has_body) at += sprintf(to + at, "content-length: %zu\r\n", body->length);
  at += sprintf(to + at, "\r\n");
  if (has_body) memcpy(to + at, body->bytes, body->length);
  request->length = (size_t)at + (has_body ? body->length : 0);
}

static void digits(char *at, int count, uint64_t number) {
  for (int index = count - 1; index >= 0; index--, number /= 10) at[index] = (char)('0' + number % 10);
}

void request_vary(struct request *request, const struct plan *plan, uint64_t *chance) {
  digits(request->bytes + request->user_at, USER_DIGITS, random_next(chance) % (uint64_t)plan->users);
  if (request->model_at == 0) return;
  digits(request->bytes + request->model_at, MODEL_DIGITS, random_next(chance) % (uint64_t)plan->models);
}
