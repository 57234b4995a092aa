internal import CLinux
internal import Glibc

/// A system call that failed.
public struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The call, such as "bind".
  public let call: String
  /// Its errno.
  public let code: Int32

  /// Makes an error of `call` with the errno `code`.
  public init(call: String, code: Int32) {
    self.call = call
    self.code = code
  }

  /// The error that the thread's errno tells of; read it before anything else can overwrite it.
  static func last(_ call: String) -> SystemError {
    SystemError(call: call, code: needletail_errno())
  }

  /// The system's own words.
  public var description: String {
    "\(call): \(unsafe String(cString: strerror(code)))"
  }

  /// The address is taken by another process.
  public var isAddressInUse: Bool { code == EADDRINUSE }

  /// The process or the system has no descriptor left.
  public var isDescriptorLimit: Bool { code == EMFILE || code == ENFILE }

  /// Nothing to do right now.
  public var isWouldBlock: Bool { code == EAGAIN || code == EWOULDBLOCK }
}
