internal import Synchronization

/// Lines of bytes that are taken one after the other.
final class Lines: Sendable {
  private let remaining: Mutex<ArraySlice<UInt8>>

  init(_ bytes: [UInt8]) { remaining = Mutex(bytes[...]) }

  /// The next line; nil when there is none.
  func next() -> [UInt8]? {
    remaining.withLock { rest in
      guard !rest.isEmpty else { return nil }
      let line = rest.prefix { $0 != 0x0A }
      rest = rest[line.endIndex...].dropFirst()
      return Array(line)
    }
  }

  /// All that is left.
  func rest() -> [UInt8] {
    remaining.withLock { rest in
      defer { rest = [] }
      return Array(rest)
    }
  }
}
