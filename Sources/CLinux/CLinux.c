#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int needletail_accept(int listener, struct sockaddr_storage *peer, socklen_t *length) {
  return accept4(listener, (struct sockaddr *)peer, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int needletail_poll_control(
    int poller, int operation, int descriptor, uint32_t events, uint64_t token) {
  struct epoll_event event = {.events = events, .data.u64 = token};
  return epoll_ctl(poller, operation, descriptor, &event);
}

int needletail_poll_wait(int poller, struct needletail_event *events, int milliseconds) {
  struct epoll_event found[NEEDLETAIL_EVENTS_MAX];
  int count = epoll_wait(poller, found, NEEDLETAIL_EVENTS_MAX, milliseconds);
  for (int index = 0; index < count; index++) {
    events[index].token = found[index].data.u64;
    events[index].events = found[index].events;
  }
  return count;
}

static volatile sig_atomic_t signal_descriptor = -1;

static void pass_signal(int number) {
  int saved = errno;
  unsigned char byte = (unsigned char)number;
  ssize_t ignored = write(signal_descriptor, &byte, 1);
  (void)ignored;
  errno = saved;
}

int needletail_watch_signals(int descriptor) {
  struct sigaction action = {.sa_handler = pass_signal, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  signal_descriptor = descriptor;
  int numbers[] = {SIGHUP, SIGINT, SIGTERM};
  for (int index = 0; index < 3; index++) {
    if (sigaction(numbers[index], &action, NULL) != 0) return -1;
  }
  return 0;
}

void needletail_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

void needletail_yield_thread(void) {
  struct sched_param parameters = {.sched_priority = 0};
  // Where that is not allowed, the thread takes its share like any other.
  (void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &parameters);
  (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
}

int needletail_errno(void) { return errno; }

void needletail_keep_memory(int bytes) {
  // Both at once: either alone ends the C library's own learning for the other.
  mallopt(M_MMAP_THRESHOLD, bytes);
  mallopt(M_TRIM_THRESHOLD, bytes);
}
