/*
 * Starts a program as another user, detached from this one's terminal. posix_spawn(3) cannot
 * change the user.
 */
#ifndef CPROCESS_H
#define CPROCESS_H

#include <stddef.h>
#include <sys/types.h>

struct ntl_program {
  /* Path, arguments and a final null pointer; the environment alike. */
  char *const *arguments;
  char *const *environment;
  /* Opened by this user: standard input, and standard output and error. */
  int input;
  int output;
  /* Become this user and group, with these further groups, when must_change is set. */
  int must_change;
  uid_t user;
  gid_t group;
  const gid_t *groups;
  size_t group_count;
};

/*
 * Starts the program in a session of its own, in "/", with default signals and no descriptors but
 * its standard ones. Returns its number, or -1 with errno set, also when it cannot be executed.
 */
pid_t ntl_start(const struct ntl_program *program);

/* The groups a user is a member of; returns how many there are, at most count of them written. */
int ntl_groups(const char *user, gid_t group, gid_t *groups, int count);

#endif
