/// What stands at an offset of the received bytes.
public enum FrameSplit: Sendable, Equatable {
  /// A frame has begun, or nothing has: more bytes are needed.
  ///
  /// `declaredBytes` is the frame's length, where its four bytes are there already.
  case incomplete(declaredBytes: Int?)
  /// A whole frame: its body, without the prefix.
  ///
  /// The next frame begins at the upper bound.
  case body(Range<Int>)
}

/// The bytes of a frame's length prefix.
public let framePrefixBytes = 4

/// Finds the frame that begins at `offset` in `bytes`.
///
/// The length is judged before its bytes arrive.
///
/// - Parameters:
///   - bytes: What was received and not yet taken.
///   - offset: Where the frame's length prefix begins, from 0 to the number of bytes.
///   - frameBytesMax: The largest length allowed now.
/// - Returns: The frame's body, or that it is not complete.
/// - Throws: ``ProtocolError`` `emptyFrame` or `frameTooLarge`.
@inlinable
public func splitFrame(
  _ bytes: RawSpan, at offset: Int, frameBytesMax: UInt32
) throws(ProtocolError) -> FrameSplit {
  let available = bytes.byteCount - offset
  guard available >= framePrefixBytes else { return .incomplete(declaredBytes: nil) }
  let length = UInt32(
    bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
  guard length > 0 else { throw .emptyFrame }
  guard length <= frameBytesMax else { throw .frameTooLarge(length: length, max: frameBytesMax) }
  let start = offset + framePrefixBytes
  guard available - framePrefixBytes >= Int(length) else {
    return .incomplete(declaredBytes: Int(length))
  }
  return .body(start..<start + Int(length))
}
