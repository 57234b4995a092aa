internal import CLinux
internal import Glibc

/// An open file descriptor, closed with the value.
public struct Descriptor: ~Copyable, Sendable {
  /// The descriptor's number; valid as long as the value lives.
  public let number: Int32

  /// Takes over `number`.
  public init(adopting number: Int32) {
    self.number = number
  }

  deinit { _ = close(number) }

  /// Gives the number away without closing it.
  public consuming func release() -> Int32 {
    let number = number
    discard self
    return number
  }

  /// Sends small writes at once instead of waiting for an acknowledgement.
  public func disableDelay() {
    setOption(IPPROTO_TCP, TCP_NODELAY, 1)
  }

  /// Gives up on a peer that acknowledges nothing for `duration`, whole milliseconds.
  public func setUserTimeout(_ duration: Duration) {
    setOption(IPPROTO_TCP, TCP_USER_TIMEOUT, Int32(clamping: duration.wholeNanoseconds / 1_000_000))
  }

  private func setOption(_ level: Int, _ name: Int32, _ value: Int32) {
    setOption(Int32(level), name, value)
  }

  private func setOption(_ level: Int32, _ name: Int32, _ value: Int32) {
    var value = value
    // These options only tune; a kernel that refuses one still carries the connection.
    _ = unsafe setsockopt(number, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Tells the peer that nothing more will be written.
  public func finishWriting() {
    _ = shutdown(number, Int32(SHUT_WR))
  }

  /// What became of input that nobody wants.
  public enum Discarded: Sendable, Equatable {
    /// So many bytes are gone; 0 = there were none.
    case bytes(Int)
    /// The peer has closed its side, or failed.
    case ended
  }

  /// Throws away at most `count` bytes of a TCP connection's input without copying them.
  public func discardInput(upTo count: Int) -> Discarded {
    let done = recv(number, nil, count, Int32(MSG_TRUNC | MSG_DONTWAIT))
    if done > 0 { return .bytes(done) }
    return done < 0 && (errno == EAGAIN || errno == EINTR) ? .bytes(0) : .ended
  }

  /// The error that a connection attempt left, or nil when it succeeded.
  public func takeError() -> SystemError? {
    var code: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    if unsafe getsockopt(number, SOL_SOCKET, SO_ERROR, &code, &length) != 0 {
      return .last("getsockopt")
    }
    return code == 0 ? nil : SystemError(call: "connect", code: code)
  }

  /// How many descriptors this process may open; raised to the hard limit on the way.
  public static func raiseLimit() -> Int {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard unsafe getrlimit(resource, &limit) == 0 else { return 1_024 }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(resource, &limit)
    _ = unsafe getrlimit(resource, &limit)
    return Int(clamping: limit.rlim_cur)
  }
}
