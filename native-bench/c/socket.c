#include "socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096

union place {
  struct sockaddr any;
  struct sockaddr_in tcp;
  struct sockaddr_un local;
};

static socklen_t read_place(const char *text, union place *place) {
  memset(place, 0, sizeof *place);
  if (strncmp(text, "unix:", 5) == 0) {
    place->local.sun_family = AF_UNIX;
    snprintf(place->local.sun_path, sizeof place->local.sun_path, "%s", text + 5);
    return sizeof place->local;
  }
  place->tcp.sin_family = AF_INET;
  place->tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  place->tcp.sin_port = htons((uint16_t)atoi(text));
  return sizeof place->tcp;
}

static void no_delay(int file) {
  int yes = 1;
  setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

int socket_listen(const char *text) {
  union place place;
  socklen_t length = read_place(text, &place);
  int file = socket(place.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int yes = 1;
  if (place.any.sa_family == AF_UNIX) unlink(place.local.sun_path);
  else setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (file < 0 || bind(file, &place.any, length) < 0 || listen(file, BACKLOG) < 0) {
    fprintf(stderr, "cannot listen at %s: %s\n", text, strerror(errno));
    return -1;
  }
  return file;
}

int socket_connect(const char *text, int source) {
  union place place;
  socklen_t length = read_place(text, &place);
  int file = socket(place.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (file < 0) {
    fprintf(stderr, "no socket: %s\n", strerror(errno));
    return -1;
  }
  if (place.any.sa_family == AF_INET) {
    no_delay(file);
    if (source > 0) {
      int yes = 1;
      struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000100u + (uint32_t)source)};
      setsockopt(file, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
      if (bind(file, (struct sockaddr *)&from, sizeof from) < 0) perror("bind");
    }
  }
  if (connect(file, &place.any, length) < 0 && errno != EINPROGRESS) {
    fprintf(stderr, "cannot connect to %s: %s\n", text, strerror(errno));
    close(file);
    return -1;
  }
  return file;
}

int socket_accept(int listener) {
  int file = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (file >= 0) no_delay(file);
  return file;
}

int socket_port(int listener) {
  struct sockaddr_in address;
  socklen_t length = sizeof address;
  if (getsockname(listener, (struct sockaddr *)&address, &length) < 0 || address.sin_family != AF_INET) return 0;
  return ntohs(address.sin_port);
}

void watch(int loop, int file, uint32_t events, struct handler *handler) {
  struct epoll_event event = {.events = events, .data.ptr = handler};
  if (epoll_ctl(loop, EPOLL_CTL_ADD, file, &event) < 0) perror("epoll_ctl");
}

void watch_again(int loop, int file, uint32_t events, struct handler *handler) {
  struct epoll_event event = {.events = events, .data.ptr = handler};
  if (epoll_ctl(loop, EPOLL_CTL_MOD, file, &event) < 0) perror("epoll_ctl");
}
