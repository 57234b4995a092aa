internal import EventLoop
internal import Glibc
internal import Synchronization

/// Standard input, read on a thread of its own so that nothing else waits for it.
final class StandardInput: Sendable {
  private let thread: LoopGroup
  private let buffer = Mutex(Buffer())

  private struct Buffer {
    var bytes: [UInt8] = []
    var isAtEnd = false
  }

  /// The longest line, in bytes: what a frame can carry, written as JSON.
  static let lineBytesMax = 64 << 20

  init() throws(SystemError) {
    thread = try LoopGroup(count: 1) { _, _ in }
  }

  deinit { thread.stop() }

  /// The next line without its end; nil when there is none, and when the task is cancelled.
  func line() async -> [UInt8]? {
    await onThread { buffer in
      while true {
        if let end = buffer.bytes.firstIndex(of: 0x0A) {
          let line = Array(buffer.bytes[..<end])
          buffer.bytes.removeFirst(end + 1)
          return line
        }
        if buffer.isAtEnd || buffer.bytes.count > Self.lineBytesMax {
          defer { buffer.bytes = [] }
          return buffer.bytes.isEmpty ? nil : buffer.bytes
        }
        Self.fill(&buffer)
      }
    }
  }

  /// All that is left.
  func rest() async -> [UInt8] {
    let rest = await onThread { buffer in
      while !buffer.isAtEnd, buffer.bytes.count <= Self.lineBytesMax { Self.fill(&buffer) }
      defer { buffer.bytes = [] }
      return buffer.bytes
    }
    return rest ?? []
  }

  /// Runs `body` on the thread; nil at once when the task is cancelled, whatever the thread does.
  private func onThread(
    _ body: @escaping @Sendable (inout Buffer) -> [UInt8]?
  ) async -> [UInt8]? {
    let answer = Answer()
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        answer.wait(continuation)
        thread.mailboxes[0].post { _ in
          answer.give(self.buffer.withLock { body(&$0) })
        }
      }
    } onCancel: {
      answer.give(nil)
    }
  }

  private static func fill(_ buffer: inout Buffer) {
    let part = unsafe [UInt8](unsafeUninitializedCapacity: 65_536) { memory, count in
      count = unsafe max(read(STDIN_FILENO, memory.baseAddress, memory.count), 0)
    }
    buffer.bytes += part
    buffer.isAtEnd = part.isEmpty
  }
}

/// What a task waits for, given once by whoever is first.
private final class Answer: Sendable {
  private enum State {
    case empty
    case waited(CheckedContinuation<[UInt8]?, Never>)
    case given
  }

  private let state = Mutex(State.empty)

  /// Lets `continuation` go on when the answer is given, at once when it was.
  func wait(_ continuation: CheckedContinuation<[UInt8]?, Never>) {
    let isGiven = state.withLock { state in
      if case .given = state { return true }
      state = .waited(continuation)
      return false
    }
    if isGiven { continuation.resume(returning: nil) }
  }

  func give(_ line: [UInt8]?) {
    let waiting = state.withLock { state -> CheckedContinuation<[UInt8]?, Never>? in
      defer { state = .given }
      if case .waited(let continuation) = state { return continuation }
      return nil
    }
    waiting?.resume(returning: line)
  }
}
