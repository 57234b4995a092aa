internal import CProcess
internal import Foundation
internal import Glibc

/// A process that this one started, and waits for itself.
struct ChildProcess {
  let pid: pid_t

  /// How a process ended.
  enum End: Equatable, CustomStringConvertible {
    case exited(Int32)
    case killed(Int32)

    var description: String {
      switch self {
      case .exited(let code): "exit status \(code)"
      case .killed(let signal): "signal \(signal)"
      }
    }
  }

  /// Starts a program as a user, in a session of its own so that the terminal's signals pass it by.
  ///
  /// The program begins in `/`, with default signals and no other descriptors than these.
  /// Its arguments begin with its path; its input is empty unless a file is named; its output and
  /// errors go to a file, which is emptied first.
  static func start(
    _ arguments: [String], as account: Account, input: String? = nil, output: String
  ) throws(EmbeddedPostgresError) -> ChildProcess {
    let reads = try openFile(input ?? "/dev/null", O_RDONLY)
    defer { close(reads) }
    let writes = try openFile(output, O_WRONLY | O_CREAT | O_TRUNC)
    defer { close(writes) }
    let groups = account.groups
    let pid = unsafe withStrings(arguments) { arguments in
      unsafe withStrings(environment) { environment in
        unsafe groups.withUnsafeBufferPointer { groups in
          var program = unsafe ntl_program(
            arguments: arguments, environment: environment, input: reads, output: writes,
            must_change: account.user == geteuid() ? 0 : 1, user: account.user,
            group: account.group, groups: groups.baseAddress, group_count: groups.count)
          return unsafe ntl_start(&program)
        }
      }
    }
    guard pid > 0 else {
      throw EmbeddedPostgresError(
        .programsMissing,
        "\(arguments[0]) cannot be started as \(account.name): \(systemErrorText(errno))")
    }
    return ChildProcess(pid: pid)
  }

  /// What a program finds in its environment; nothing of this process's own, which holds secrets.
  private static let environment = [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
    "TZ=UTC", "HOME=/",
  ]

  private static func openFile(
    _ path: String, _ flags: Int32
  ) throws(EmbeddedPostgresError) -> Int32 {
    let descriptor = unsafe open(path, flags | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw EmbeddedPostgresError(
        .folderUnusable, "\(path) cannot be opened: \(systemErrorText(errno))")
    }
    return descriptor
  }

  /// How it ended; nil while it runs.
  func poll() -> End? {
    var status: Int32 = 0
    let result = unsafe waitpid(pid, &status, WNOHANG)
    guard result != 0 else { return nil }
    // Somebody else has waited for it.
    guard result == pid else { return .exited(-1) }
    let signal = status & 0x7f
    return signal == 0 ? .exited((status >> 8) & 0xff) : .killed(signal)
  }

  /// Waits for its end, and kills it after a time.
  func end(within limit: Duration) async -> End {
    let deadline = ContinuousClock.now + limit
    while true {
      if let end = poll() { return end }
      if ContinuousClock.now > deadline { kill(pid, SIGKILL) }
      await pause(.milliseconds(10))
    }
  }
}

/// Sleeps, and returns at once when the task is cancelled.
func pause(_ duration: Duration) async {
  // A cancelled task sleeps no more; its caller looks for that by itself.
  try? await Task.sleep(for: duration)
}

/// Whether a path is a program that this process may run.
func isExecutable(_ path: String) -> Bool { unsafe access(path, X_OK) == 0 }

/// The text of an `errno`.
func systemErrorText(_ code: Int32) -> String {
  unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
}

/// What stood in the way of one of Foundation's file operations.
func fileErrorText(_ error: any Error) -> String {
  guard let cause = (error as? CocoaError)?.underlying as? POSIXError else {
    return error.localizedDescription
  }
  return systemErrorText(cause.code.rawValue)
}

/// Lends strings as a null-terminated array for the time of a call.
private func withStrings<R>(
  _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>?) -> R
) -> R {
  let copies = unsafe strings.map { unsafe strdup($0) } + [nil]
  defer { unsafe copies.forEach { unsafe free($0) } }
  return unsafe copies.withUnsafeBufferPointer { unsafe body($0.baseAddress) }
}
