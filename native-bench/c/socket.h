/* Sockets that never block, over TCP on this machine's loopback or at a path, and what an event loop calls for one. */
#ifndef BENCH_SOCKET_H
#define BENCH_SOCKET_H

#include <stdint.h>

/* Stands first in whatever an event loop watches. */
struct handler {
  void (*ready)(struct handler *handler, uint32_t events);
};

/* `place`: a port of 127.0.0.1, or `unix:PATH`. A negative result is an error, told on stderr. */
int socket_listen(const char *place);
/* Begins to connect; `source` > 0 connects from 127.0.1.`source`, so that ports are not used up. */
int socket_connect(const char *place, int source);
int socket_accept(int listener);
/* Of a listener; 0 where it has none. */
int socket_port(int listener);
void watch(int loop, int file, uint32_t events, struct handler *handler);
void watch_again(int loop, int file, uint32_t events, struct handler *handler);

#endif
