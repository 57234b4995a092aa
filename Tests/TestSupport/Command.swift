internal import Glibc
internal import Synchronization

/// What running a command gave.
public struct CommandResult: Sendable {
  /// Its exit code; 128 and the signal when a signal ended it.
  public var status: Int32
  /// What it wrote to standard output and standard error.
  public var output: String
}

/// Why a test's surroundings could not be made.
public struct SupportError: Error, CustomStringConvertible, Sendable {
  /// What went wrong.
  public var description: String

  /// Makes one.
  public init(_ description: String) { self.description = description }
}

/// Runs a command and waits for it.
///
/// - Throws: ``SupportError`` when it cannot be started.
@discardableResult
public func run(_ arguments: [String], input: String = "") throws -> CommandResult {
  var started = try starting.withLock { _ in try Started.start(arguments) }
  started.output.closeWriter()
  started.feed.write(input)
  started.feed.closeWriter()
  let text = started.output.readAll()
  var status: Int32 = 0
  while unsafe waitpid(started.process, &status, 0) == -1, errno == EINTR {}
  let exit = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
  return CommandResult(status: exit, output: text)
}

/// Held while a program starts: one that starts at the same moment would inherit the pipes of the
/// other, and one that stays, as a server does, would keep them open.
private let starting = Mutex<Void>(())

/// A program that runs, and the pipes to it.
private struct Started: ~Copyable {
  let process: pid_t
  var output: Pipe
  var feed: Pipe

  static func start(_ arguments: [String]) throws -> Started {
    let output = try Pipe()
    let feed = try Pipe()
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_adddup2(&actions, feed.reader, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, output.writer, 1)
    unsafe posix_spawn_file_actions_adddup2(&actions, output.writer, 2)
    // The threads that run tests block signals and loops ignore SIGPIPE; a server that inherits
    // that could not be ended.
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    unsafe sigemptyset(&none)
    var pipeSignal = sigset_t()
    unsafe sigemptyset(&pipeSignal)
    unsafe sigaddset(&pipeSignal, SIGPIPE)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setsigdefault(&attributes, &pipeSignal)
    unsafe posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF))
    var list = unsafe arguments.map { unsafe strdup($0) }
    unsafe list.append(nil)
    defer { for index in unsafe list.indices { unsafe free(list[index]) } }
    var process: pid_t = 0
    let code = unsafe posix_spawnp(
      &process, arguments[0], &actions, &attributes, list, environ)
    guard code == 0 else {
      throw SupportError("\(arguments[0]): \(unsafe String(cString: strerror(code)))")
    }
    return Started(process: process, output: output, feed: feed)
  }
}

/// Runs a command and returns what it wrote.
///
/// - Throws: ``SupportError`` when it fails.
@discardableResult
public func runChecked(_ arguments: [String], input: String = "") throws -> String {
  let result = try run(arguments, input: input)
  guard result.status == 0 else {
    throw SupportError("\(arguments.joined(separator: " ")): \(result.output)")
  }
  return result.output
}

/// Whether a program is installed.
public func isInstalled(_ path: String) -> Bool {
  unsafe access(path, X_OK) == 0
}

private struct Pipe: ~Copyable {
  private(set) var reader: Int32 = -1
  private(set) var writer: Int32 = -1

  init() throws {
    var ends: [Int32] = [-1, -1]
    guard unsafe pipe(&ends) == 0 else { throw SupportError("no descriptor is left for a pipe") }
    (reader, writer) = (ends[0], ends[1])
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
  }

  deinit {
    close(reader)
    if writer >= 0 { close(writer) }
  }

  mutating func closeWriter() {
    close(writer)
    writer = -1
  }

  func write(_ text: String) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes {
        unsafe Glibc.write(writer, $0.baseAddress, $0.count)
      }
      if count <= 0 { return }
      rest = rest.dropFirst(count)
    }
  }

  func readAll() -> String {
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = unsafe piece.withUnsafeMutableBytes {
        unsafe read(reader, $0.baseAddress, $0.count)
      }
      if count < 0, errno == EINTR { continue }
      if count <= 0 { break }
      bytes.append(contentsOf: piece[..<count])
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
