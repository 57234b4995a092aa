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

  /// The next line without its end; nil when there is none.
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
    await onThread { buffer in
      while !buffer.isAtEnd, buffer.bytes.count <= Self.lineBytesMax { Self.fill(&buffer) }
      defer { buffer.bytes = [] }
      return buffer.bytes
    }
  }

  private func onThread<Result: Sendable>(
    _ body: @escaping @Sendable (inout Buffer) -> Result
  ) async -> Result {
    await withCheckedContinuation { continuation in
      thread.mailboxes[0].post { _ in
        continuation.resume(returning: self.buffer.withLock { body(&$0) })
      }
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
