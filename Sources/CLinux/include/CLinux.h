// Linux calls that Glibc's module does not carry.
#ifndef CLINUX_H
#define CLINUX_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <stdint.h>

// accept4 is hidden behind _GNU_SOURCE in Glibc's module.
int needletail_accept(int listener, struct sockaddr_storage *peer, socklen_t *length);

// An event of a poller: what happened, and the token that the descriptor was added with.
struct needletail_event {
  uint64_t token;
  uint32_t events;
};

// How many events one wait returns at most.
#define NEEDLETAIL_EVENTS_MAX 256

// epoll_ctl and epoll_wait with plain values in place of epoll_event's union.
int needletail_poll_control(
    int poller, int operation, int descriptor, uint32_t events, uint64_t token);
int needletail_poll_wait(int poller, struct needletail_event *events, int milliseconds);

// Writes the number of each SIGHUP, SIGINT and SIGTERM as one byte to `descriptor`, from now on.
// A handler and not a mask: libdispatch waits in sigsuspend with every signal let through.
int needletail_watch_signals(int descriptor);

// Names the calling thread, at most 15 bytes.
void needletail_name_thread(const char *name);

// Lets the calling thread run when nothing else wants the processor.
void needletail_yield_thread(void);

// Lets the process keep up to so many bytes of what it freed, for what it allocates next; at most
// 32 MiB, which is as far as the C library goes.
void needletail_keep_memory(int bytes);

// errno is a macro, which Swift cannot see.
int needletail_errno(void);

#endif
