internal import CLinux
internal import Glibc

/// The process signals that the server acts on.
public enum ProcessSignal: Int32, Sendable, CaseIterable {
  /// Reload certificates.
  case hangup = 1
  /// Stop, from the keyboard.
  case interrupt = 2
  /// Stop.
  case terminate = 15
}

/// Delivers process signals on a loop instead of interrupting threads. Lives on a loop.
public final class SignalSource: DescriptorHandler {
  private let descriptor: Descriptor
  private let action: (ProcessSignal) -> Void

  /// Keeps the signals from interrupting; call it before any other thread is started.
  public static func block() {
    var set = signalSet()
    unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
  }

  /// Runs `action` on `loop` for each signal that arrives; ``block()`` must have been called.
  ///
  /// - Throws: ``SystemError`` when no descriptor is left.
  public init(
    _ loop: Loop, _ action: @escaping (ProcessSignal) -> Void
  ) throws(SystemError) {
    var set = signalSet()
    let number = unsafe signalfd(-1, &set, Int32(SFD_NONBLOCK) | Int32(SFD_CLOEXEC))
    if number < 0 { throw .last("signalfd") }
    descriptor = Descriptor(adopting: number)
    self.action = action
    try loop.register(number, .read, self)
  }

  public func ready(_ readiness: Readiness) {
    var info = signalfd_siginfo()
    let size = MemoryLayout<signalfd_siginfo>.size
    while unsafe read(descriptor.number, &info, size) == size {
      if let signal = ProcessSignal(rawValue: Int32(info.ssi_signo)) { action(signal) }
    }
  }
}

private func signalSet() -> sigset_t {
  var set = sigset_t()
  unsafe sigemptyset(&set)
  for signal in ProcessSignal.allCases { unsafe sigaddset(&set, signal.rawValue) }
  return set
}
