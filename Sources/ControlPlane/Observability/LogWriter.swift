internal import Foundation
internal import Synchronization

/// Writes lines to a descriptor from a thread of its own, so that a full pipe never holds up a
/// loop.
final class LogWriter: Sendable {
  /// Bytes that may wait; further lines are dropped and counted.
  static let pendingBytesMax = 4 << 20

  private let descriptor: Int32
  private let state = Mutex(State())
  private let wake = DispatchSemaphore(value: 0)

  private struct State {
    var pending: [UInt8] = []
    var dropped = 0
    var isWaking = false
  }

  /// Starts to write to `descriptor`, which stays the caller's.
  init(descriptor: Int32) {
    self.descriptor = descriptor
    let thread = Thread { [self] in run() }
    thread.name = "needletail-log"
    thread.start()
  }

  /// Writes a line, soon.
  func write(_ line: String) {
    let needsWake = state.withLock { state in
      guard state.pending.count < LogWriter.pendingBytesMax else {
        state.dropped += 1
        return false
      }
      state.pending.append(contentsOf: line.utf8)
      state.pending.append(UInt8(ascii: "\n"))
      defer { state.isWaking = true }
      return !state.isWaking
    }
    if needsWake { wake.signal() }
  }

  /// Writes what waits, from the calling thread: the last act of a process.
  func flush() {
    put(take())
  }

  private func run() {
    while true {
      wake.wait()
      put(take())
    }
  }

  private func take() -> [UInt8] {
    state.withLock { state in
      var bytes: [UInt8] = []
      swap(&bytes, &state.pending)
      state.isWaking = false
      if state.dropped > 0 {
        bytes += Array("{\"level\":\"warning\",\"message\":\"log lines dropped\",".utf8)
        bytes += Array("\"count\":\(state.dropped)}\n".utf8)
        state.dropped = 0
      }
      return bytes
    }
  }

  private func put(_ bytes: [UInt8]) {
    var offset = 0
    while offset < bytes.count {
      let count = unsafe bytes.withUnsafeBytes {
        unsafe Foundation.write(descriptor, $0.baseAddress?.advanced(by: offset), $0.count - offset)
      }
      // A log that nobody takes any more is no reason to stop serving.
      guard count > 0 else { return }
      offset += count
    }
  }
}
