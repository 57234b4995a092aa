internal import Foundation
internal import Glibc

/// A running PostgreSQL, known by number and start time so that a reused number is not mistaken.
struct Postmaster: Equatable {
  let pid: pid_t
  let startTicks: String

  /// A process that runs now.
  init?(pid: pid_t) {
    guard let startTicks = Postmaster.startTicks(of: pid) else { return nil }
    self.pid = pid
    self.startTicks = startTicks
  }

  /// Whether it still runs; a process that has ended but was not waited for does not.
  var isRunning: Bool { Postmaster.startTicks(of: pid) == startTicks }

  /// When a process began, in ticks after the system's start; nil when it has ended.
  private static func startTicks(of pid: pid_t) -> String? {
    guard let status = readText("/proc/\(pid)/stat"),
      // The name in parentheses may hold anything, parentheses too.
      let end = status.lastIndex(of: ")")
    else { return nil }
    let fields = status[status.index(after: end)...].split(separator: " ")
    guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
    return String(fields[19])
  }
}

/// What PostgreSQL writes to `postmaster.pid`.
struct PostmasterFile: Equatable {
  let pid: pid_t
  let dataFolder: String
  let socketFolder: String
  /// "starting", "ready", "standby" or "stopping"; empty in its first moments.
  let status: String

  init?(_ text: String) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    guard lines.count > 1, let pid = pid_t(lines[0].trimmingCharacters(in: .whitespaces)), pid > 0
    else { return nil }
    self.pid = pid
    dataFolder = lines[1]
    socketFolder = lines.count > 4 ? lines[4] : ""
    status = lines.count > 7 ? lines[7].trimmingCharacters(in: .whitespaces) : ""
  }
}

/// Processes of PostgreSQL that work in a data folder.
struct ClusterProcesses {
  let dataFolder: String

  /// All of them: a postmaster, and those that it started or left behind.
  func all() -> [pid_t] {
    let resolved = resolvedPath(dataFolder)
    // Without /proc nothing can be told; PostgreSQL's own checks remain.
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { pid_t($0) }.filter { contains($0, resolved) }
  }

  /// Whether a process is PostgreSQL at work in the folder.
  func contains(_ pid: pid_t) -> Bool { contains(pid, resolvedPath(dataFolder)) }

  private func contains(_ pid: pid_t, _ resolved: String) -> Bool {
    // Both fail for a process that has just ended, and for other users' processes.
    guard
      let program = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/exe"),
      let folder = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/cwd")
    else { return false }
    return folder == resolved
      && (program.hasSuffix("/postgres") || program.hasSuffix("/postgres (deleted)"))
  }

  /// Waits until those that a dead postmaster left behind are gone, and ends them after a time.
  ///
  /// A new postmaster refuses to start while one of them holds the old shared memory. Ending them
  /// loses nothing: what they have committed is in the log that recovery reads.
  func awaitOrphans() async {
    let begin = ContinuousClock.now
    while true {
      let orphans = all()
      guard !orphans.isEmpty else { return }
      let passed = ContinuousClock.now - begin
      if passed > .seconds(15) { return }
      if passed > .seconds(3) {
        for pid in orphans { kill(pid, SIGKILL) }
      } else if passed > .milliseconds(500) {
        for pid in orphans { kill(pid, SIGQUIT) }
      }
      await pause(.milliseconds(20))
    }
  }
}

/// A path without symbolic links.
func resolvedPath(_ path: String) -> String {
  guard let resolved = unsafe realpath(path, nil) else { return path }
  defer { unsafe free(resolved) }
  return unsafe String(cString: resolved)
}
