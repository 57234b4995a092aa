/// A protobuf message as a Swift value.
///
/// The generated types conform; unknown fields are not kept.
public protocol Message: Sendable, Equatable {
  /// The message's full name: `needletail.tracking.v1.Run`.
  static var fullName: String { get }

  /// A message whose fields are all at their defaults.
  init()

  /// Reads a message from its wire format, within ``MessageLimits``.
  ///
  /// - Throws: ``MessageError`` with the path of the first thing that is wrong.
  static func decode(_ bytes: RawSpan) throws(MessageError) -> Self

  /// Lends the message's wire format to `body`: fields by number, defaults left out.
  ///
  /// The bytes are gone when `body` returns. `body` may encode and decode other messages.
  func withEncoded<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R
}

extension Message {
  /// The message's wire format, as bytes of its own.
  public var encoded: [UInt8] {
    withEncoded { bytes in unsafe bytes.withUnsafeBytes { unsafe Array($0) } }
  }

  /// Reads a message from its wire format, within ``MessageLimits``.
  ///
  /// - Throws: ``MessageError`` with the path of the first thing that is wrong.
  public static func decode(_ bytes: [UInt8]) throws(MessageError) -> Self {
    try unsafe decode(bytes.span.bytes)
  }
}
