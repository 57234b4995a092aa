# What every script needs: sourced first, never run. Sets `root` and the PATH.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
export LC_ALL=C.UTF-8
PATH="$root/.venv/bin:$PATH"
# MLflow, and the much that it stands on, is apart: what the other scripts need stays small.
# shellcheck disable=SC2034 # used by those that source this file
mlflow_environment="$root/.venv-mlflow"

# Prints the comment at the head of the calling script and ends it.
help() {
  sed -n '2,/^[^#]/ { /^# shellcheck/d; s/^# \{0,1\}//p }' "$0"
  exit 0
}

# Ends the script with a message for a person.
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# Ends the script with exit code 2 and a pointer to its help.
refuse() {
  printf '%s: %s (see %s --help)\n' "$(basename "$0")" "$*" "$0" >&2
  exit 2
}

# needs_value "$@": ends the script unless the option in front has a value behind it.
needs_value() {
  [[ -n "${2:-}" ]] || refuse "$1 needs a value"
}

# Puts a Swift 6.3 or later on the PATH, from the places where toolchains are usually unpacked.
find_swift() {
  local folder version
  for folder in "" /opt/swift/usr/bin /usr/share/swift/usr/bin \
    "${HOME:-}/.local/share/swiftly/bin"; do
    [[ -z "$folder" || -x "$folder/swift" ]] || continue
    version="$({ PATH="${folder:+$folder:}$PATH" swift --version 2>/dev/null || true; } |
      sed -n 's/^.*Swift version \([0-9]*\.[0-9]*\).*$/\1/p')"
    if [[ -n "$version" && "$(printf '6.3\n%s\n' "$version" | sort -V | head -1)" == 6.3 ]]; then
      PATH="${folder:+$folder:}$PATH"
      return
    fi
  done
  die "no Swift 6.3 or later on the PATH or in /opt/swift; install it from swift.org/install"
}

# How a program is built that is to be run: with Swift's libraries inside of it, which halves the
# time that it takes to start (Foundation's network part then asks for curl by name), and without
# the run-time checks for overlapping access, which the tests keep.
# shellcheck disable=SC2034 # used by those that source this file
release_flags=(--static-swift-stdlib -Xlinker -lcurl -Xswiftc -enforce-exclusivity=unchecked)

# The file that holds the path of the connection file which Scripts/run wrote last.
last_connection_file="$root/.needletail/last-connection-file"

# Leaves the path of a connection file where find_connection_file looks for it.
remember_connection_file() {
  mkdir -p "$(dirname "$last_connection_file")"
  printf '%s\n' "$1" >"$last_connection_file.$$"
  mv "$last_connection_file.$$" "$last_connection_file"
}

# Prints the path of the connection file: the given one, else the one that Scripts/run wrote last.
find_connection_file() {
  local file="${1:-}"
  if [[ -z "$file" && -r "$last_connection_file" ]]; then file="$(<"$last_connection_file")"; fi
  [[ -n "$file" && -r "$file" ]] ||
    die "no server to connect to: start one with Scripts/run, or name its --connection-file"
  realpath "$file"
}
