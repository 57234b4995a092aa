#define _GNU_SOURCE
#include "CProcess.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The highest descriptor stays open: it reports what failed, and closes when the program begins. */
#define REPORT 3

/*
 * Runs in the child. Only async-signal-safe calls: other threads may have held any lock. The raw
 * system calls spare glibc's attempt to change the user of threads that do not exist here.
 */
static _Noreturn void become(const struct ntl_program *program, int report) {
  struct sigaction standard = {.sa_handler = SIG_DFL};
  for (int number = 1; number < NSIG; number++) sigaction(number, &standard, NULL);
  sigset_t none;
  sigemptyset(&none);

  if (setsid() < 0 || chdir("/") != 0) goto failed;
  if (dup2(program->input, 0) < 0 || dup2(program->output, 1) < 0 || dup2(1, 2) < 0) goto failed;
  if (report != REPORT && dup3(report, REPORT, O_CLOEXEC) < 0) goto failed;
  report = REPORT;
  if (syscall(SYS_close_range, REPORT + 1, ~0U, 0) != 0) goto failed;
  if (program->must_change) {
    if (syscall(SYS_setgroups, program->group_count, program->groups) != 0) goto failed;
    if (syscall(SYS_setresgid, program->group, program->group, program->group) != 0) goto failed;
    if (syscall(SYS_setresuid, program->user, program->user, program->user) != 0) goto failed;
  }
  sigprocmask(SIG_SETMASK, &none, NULL);
  execve(program->arguments[0], program->arguments, program->environment);

failed:;
  int reason = errno;
  ssize_t written = write(report, &reason, sizeof reason);
  _exit(written == sizeof reason ? 127 : 126);
}

pid_t ntl_start(const struct ntl_program *program) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return -1;

  /* No signal handler of this process may run in the child. */
  sigset_t every, former;
  sigfillset(&every);
  pthread_sigmask(SIG_SETMASK, &every, &former);
  pid_t pid = fork();
  if (pid == 0) become(program, report[1]);
  int reason = errno;
  pthread_sigmask(SIG_SETMASK, &former, NULL);
  close(report[1]);
  if (pid < 0) {
    close(report[0]);
    errno = reason;
    return -1;
  }

  ssize_t count;
  do {
    count = read(report[0], &reason, sizeof reason);
  } while (count < 0 && errno == EINTR);
  close(report[0]);
  /* The pipe closed unused: the program has begun. */
  if (count == 0) return pid;
  waitpid(pid, NULL, 0);
  errno = reason;
  return -1;
}

int ntl_groups(const char *user, gid_t group, gid_t *groups, int count) {
  int found = count;
  getgrouplist(user, group, groups, &found);
  return found;
}
