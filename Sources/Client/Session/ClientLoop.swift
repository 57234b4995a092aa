internal import EventLoop

/// What the client keeps on a loop: its channels, and one buffer that all sessions read into.
final class ClientLoop {
  /// Bytes that a session reads at once: the content of the largest TLS record.
  static let inputBytes = 16 << 10

  /// The channels of the loop, by the numbers that their connections know them by.
  var channels: [UInt64: Channel] = [:]
  private var input = [UInt8](repeating: 0, count: ClientLoop.inputBytes)

  /// The client's state on `loop`, made when it is first asked for.
  ///
  /// The loop must not be one whose attachment belongs to somebody else.
  static func on(_ loop: Loop) -> ClientLoop {
    if let state = loop.attachment as? ClientLoop { return state }
    precondition(loop.attachment == nil, "the loop's attachment is not the client's")
    let state = ClientLoop()
    loop.attachment = state
    return state
  }

  /// Lends the buffer; whoever asks while it is lent out gets one of its own.
  func withInput<Result>(_ body: (inout [UInt8]) -> Result) -> Result {
    var lent: [UInt8] = []
    swap(&lent, &input)
    if lent.isEmpty { lent = [UInt8](repeating: 0, count: ClientLoop.inputBytes) }
    defer { swap(&lent, &input) }
    return body(&lent)
  }
}
