internal import CLinux
internal import Glibc

/// The process signals that the server acts on.
public enum ProcessSignal: UInt8, Sendable, CaseIterable {
  /// Reload certificates.
  case hangup = 1
  /// Stop, from the keyboard.
  case interrupt = 2
  /// Stop.
  case terminate = 15
}

/// Delivers process signals on a loop instead of interrupting threads.
///
/// Lives on a loop; a process has at most one.
public final class SignalSource: DescriptorHandler {
  private let reader: Descriptor
  private let writer: Descriptor
  private let action: (ProcessSignal) -> Void

  /// Runs `action` on `loop` for each signal that arrives from now on.
  ///
  /// - Throws: ``SystemError`` when no descriptor is left.
  public init(
    _ loop: Loop, _ action: @escaping (ProcessSignal) -> Void
  ) throws(SystemError) {
    var ends: [Int32] = [0, 0]
    if unsafe pipe(&ends) != 0 { throw .last("pipe") }
    reader = Descriptor(adopting: ends[0])
    writer = Descriptor(adopting: ends[1])
    self.action = action
    for end in ends {
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
    }
    try loop.register(ends[0], .read, self)
    if needletail_watch_signals(ends[1]) != 0 { throw .last("sigaction") }
  }

  /// Calls the action once for each signal that has come.
  public func ready(_ readiness: Readiness) {
    var byte: UInt8 = 0
    while unsafe read(reader.number, &byte, 1) == 1 {
      if let signal = ProcessSignal(rawValue: byte) { action(signal) }
    }
  }
}
