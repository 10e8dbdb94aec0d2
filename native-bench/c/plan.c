#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTENTS_MAX 64

static struct {
  char name[PLAN_TEXT_MAX];
  const char *word;
  struct content content;
} contents[CONTENTS_MAX];
static int content_count;

static void copy(char *to, const char *from) { snprintf(to, PLAN_TEXT_MAX, "%s", from); }

/* Words end at blanks, so a blank in a value is written `%20`. */
static void copy_header(char *to, const char *from) {
  copy(to, from);
  for (char *found = strstr(to, "%20"); found != NULL; found = strstr(found, "%20")) {
    *found++ = ' ';
    memmove(found, found + 2, strlen(found + 2) + 1);
  }
}

static void read_processes(struct plan *plan, char *list) {
  char *rest;
  for (char *one = strtok_r(list, ",", &rest); one != NULL; one = strtok_r(NULL, ",", &rest)) {
    if (plan->process_count < PLAN_PROCESSES_MAX) plan->processes[plan->process_count++] = atoi(one);
  }
}

static bool read_text(struct plan *plan, const char *key, char *value) {
  if (strcmp(key, "to") == 0) copy(plan->to, value);
  else if (strcmp(key, "method") == 0) snprintf(plan->method, sizeof plan->method, "%s", value);
  else if (strcmp(key, "path") == 0) copy(plan->path, value);
  else if (strcmp(key, "body") == 0) copy(plan->body, value);
  else if (strcmp(key, "answer") == 0) copy(plan->answer, value);
  else if (strcmp(key, "arrivals") == 0) plan->is_even = strcmp(value, "even") == 0;
  else if (strcmp(key, "pids") == 0) read_processes(plan, value);
  else if (strcmp(key, "header") == 0 && plan->header_count < PLAN_HEADERS_MAX)
    copy_header(plan->headers[plan->header_count++], value);
  else return false;
  return true;
}

static bool read_number(struct plan *plan, const char *key, double value) {
  if (strcmp(key, "status") == 0) plan->status = plan->expected_status = (int)value;
  else if (strcmp(key, "expect") == 0) plan->expected_status = (int)value;
  else if (strcmp(key, "delay-us") == 0) plan->delay_ns = (int64_t)(value * 1000);
  else if (strcmp(key, "rate") == 0) plan->rate = value;
  else if (strcmp(key, "connections") == 0) plan->connections = (int)value;
  else if (strcmp(key, "churn") == 0) plan->churn = (int)value;
  else if (strcmp(key, "users") == 0) plan->users = (int)value;
  else if (strcmp(key, "models") == 0) plan->models = (int)value;
  else if (strcmp(key, "seconds") == 0) plan->seconds = value;
  else if (strcmp(key, "warm") == 0) plan->warm_seconds = value;
  else if (strcmp(key, "seed") == 0) plan->seed = (uint64_t)value;
  else if (strcmp(key, "verify") == 0) plan->is_verified = value != 0;
  else if (strcmp(key, "events") == 0) plan->events = (int)value;
  else if (strcmp(key, "every-us") == 0) plan->every_ns = (int64_t)(value * 1000);
  else if (strcmp(key, "event-bytes") == 0) plan->event_bytes = (int)value;
  else if (strcmp(key, "core") == 0) plan->core = (int)value;
  else return false;
  return true;
}

bool plan_read(struct plan *plan, char *line) {
  *plan = (struct plan){
      .status = 200, .expected_status = 200, .connections = 64, .users = 1000, .models = 1, .seconds = 2,
      .warm_seconds = 0.5, .seed = 1, .every_ns = 20000000, .event_bytes = 250,
  };
  strcpy(plan->method, "POST");
  strcpy(plan->path, "/");
  strcpy(plan->body, "100");
  strcpy(plan->answer, "100");
  char *rest;
  for (char *word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
    char *equals = strchr(word, '=');
    if (equals != NULL) {
      *equals = 0;
      char *end;
      double number = strtod(equals + 1, &end);
      if (read_text(plan, word, equals + 1)) continue;
      if (*end == 0 && read_number(plan, word, number)) continue;
    }
    fprintf(stderr, "not known, or not so: %s\n", word);
    return false;
  }
  return true;
}

/* Tensors in JSON, `inputs` or `outputs`, filled up with blanks to the wanted length; blanks alone where that is too short. */
static struct content tensor(size_t length, const char *word) {
  struct content made = {malloc(length + 1), length};
  memset(made.bytes, ' ', length);
  char before[128];
  static const char form[] = "{\"%s\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,%zu],\"data\":[";
  /* One number takes four bytes with its comma, the end three more. */
  size_t room = (size_t)snprintf(before, sizeof before, form, word, length) + 3;
  if (length < room + 4) return made;
  size_t count = (length - room) / 4;
  size_t at = (size_t)snprintf(before, sizeof before, form, word, count);
  memcpy(made.bytes, before, at);
  for (size_t index = 0; index < count; index++, at += 4) memcpy(made.bytes + at, index % 7 == 3 ? "2.5," : "1.5,", 4);
  memcpy(made.bytes + at - 1, "]}]}", 4);
  return made;
}

static bool read_file(const char *name, struct content *content) {
  FILE *file = fopen(name, "rb");
  if (file == NULL) return false;
  fseek(file, 0, SEEK_END);
  content->length = (size_t)ftell(file);
  rewind(file);
  content->bytes = malloc(content->length + 1);
  bool is_whole = fread(content->bytes, 1, content->length, file) == content->length;
  fclose(file);
  return is_whole;
}

static const struct content *content_of(const char *text, const char *word) {
  for (int index = 0; index < content_count; index++) {
    if (strcmp(contents[index].name, text) == 0 && contents[index].word == word) return &contents[index].content;
  }
  if (content_count == CONTENTS_MAX) {
    fprintf(stderr, "more than %d different bodies\n", CONTENTS_MAX);
    return NULL;
  }
  struct content content;
  if (text[0] != '@') content = tensor((size_t)atol(text), word);
  else if (!read_file(text + 1, &content)) {
    fprintf(stderr, "cannot read %s\n", text + 1);
    return NULL;
  }
  copy(contents[content_count].name, text);
  contents[content_count].word = word;
  contents[content_count].content = content;
  return &contents[content_count++].content;
}

static const char inputs[] = "inputs", outputs[] = "outputs";

const struct content *plan_body(const struct plan *plan) { return content_of(plan->body, inputs); }

const struct content *plan_answer(const struct plan *plan) { return content_of(plan->answer, outputs); }
