/// A rule of the needletail/1 protocol that the peer broke.
///
/// It ends the connection.
///
/// One case a rule; `field`, `frame` and the numbers name the thing.
public enum ProtocolError: Error, Sendable, Equatable {
  // Framing.

  /// A length prefix of 0.
  case emptyFrame
  /// A length prefix above the bound, both in bytes.
  case frameTooLarge(length: UInt32, max: UInt32)

  // The frame's bytes.

  /// A field ends behind the message that holds it.
  case truncatedField(field: String)
  /// A varint of more bits than its field has.
  case oversizeVarint(field: String)
  /// A tag with number 0 or above 2^29−1, a group, or a wire type that does not exist.
  case malformedTag(message: String)
  /// A known field with another field's wire type.
  case wrongWireType(message: String, number: UInt32)
  /// A singular field given twice, or two bodies.
  case repeatedField(field: String)
  /// Text that is not UTF-8, or that holds U+0000.
  case invalidText(field: String)
  /// A field above its own bound.
  case fieldTooLarge(field: String, max: Int)
  /// No body that this version knows.
  case missingBody

  // The connection.

  /// The client's first frame is not Hello.
  case helloExpected(frame: String)
  /// The server's first frame is neither Welcome nor Goaway.
  case welcomeExpected(frame: String)
  /// A second Hello or Welcome.
  case greetingRepeated(frame: String)
  /// A frame that its sender may not send.
  case frameNotAllowed(frame: String)
  /// A stream's frame on stream 0, or a connection's frame on a stream.
  case streamMisplaced(frame: String, stream: UInt32)
  /// Too many of these.
  case enhanceYourCalm(what: String)
  /// No Hello in time.
  case helloTimeout
  /// No Welcome in time.
  case welcomeTimeout
  /// A frame began and did not end in time.
  case frameTimeout
  /// No Pong in time.
  case pongTimeout

  // Streams.

  /// A Call whose number is not the next.
  case streamOutOfOrder(stream: UInt32, expected: UInt64)
  /// A frame for a number that was never opened.
  case streamNeverOpened(frame: String, stream: UInt32)
  /// Data after `end_of_requests`.
  case streamHalfClosed(stream: UInt32)
  /// A server's frame on a stream that it had ended.
  case frameAfterEnd(frame: String, stream: UInt32)
  /// Data while a window was at or below zero; stream 0 is the connection's window.
  case windowOverrun(stream: UInt32)
  /// Credit that takes a window above 2^63−1; stream 0 is the connection's window.
  case windowOverflow(stream: UInt32)
}

extension ProtocolError {
  /// For a program: stable, and the `reason` of the Goaway.
  public var reason: String {
    switch self {
    case .emptyFrame: "FRAME_EMPTY"
    case .frameTooLarge: "FRAME_TOO_LARGE"
    case .truncatedField, .oversizeVarint, .malformedTag, .wrongWireType, .repeatedField,
      .invalidText:
      "FRAME_MALFORMED"
    case .fieldTooLarge: "FIELD_TOO_LARGE"
    case .missingBody: "FRAME_UNKNOWN"
    case .helloExpected: "HELLO_EXPECTED"
    case .welcomeExpected: "WELCOME_EXPECTED"
    case .greetingRepeated: "GREETING_REPEATED"
    case .frameNotAllowed: "FRAME_NOT_ALLOWED"
    case .streamMisplaced: "STREAM_MISPLACED"
    case .enhanceYourCalm: "ENHANCE_YOUR_CALM"
    case .helloTimeout: "HELLO_TIMEOUT"
    case .welcomeTimeout: "WELCOME_TIMEOUT"
    case .frameTimeout: "FRAME_TIMEOUT"
    case .pongTimeout: "PONG_TIMEOUT"
    case .streamOutOfOrder: "STREAM_OUT_OF_ORDER"
    case .streamNeverOpened: "STREAM_NEVER_OPENED"
    case .streamHalfClosed: "STREAM_HALF_CLOSED"
    case .frameAfterEnd: "FRAME_AFTER_END"
    case .windowOverrun: "WINDOW_OVERRUN"
    case .windowOverflow: "WINDOW_OVERFLOW"
    }
  }

  /// The code of the Goaway.
  public var code: StatusCode {
    switch self {
    case .frameTooLarge, .fieldTooLarge, .enhanceYourCalm: .resourceExhausted
    case .helloTimeout, .welcomeTimeout, .frameTimeout, .pongTimeout: .deadlineExceeded
    case .emptyFrame, .truncatedField, .oversizeVarint, .malformedTag, .wrongWireType,
      .repeatedField, .invalidText, .missingBody:
      .invalidArgument
    default: .failedPrecondition
    }
  }

  /// The status that a Goaway carries.
  public var status: Status { Status(code, reason: reason, message: message) }

  /// For a person: what was wrong, by name.
  public var message: String {
    switch self {
    case .emptyFrame: "A frame has length 0; a frame has a body."
    case .frameTooLarge(let length, let max):
      "A frame of \(length) bytes is above the limit of \(max) bytes."
    case .truncatedField(let field): "\(field) ends behind the message that holds it."
    case .oversizeVarint(let field): "\(field) is a varint with more bits than the field."
    case .malformedTag(let message): "\(message) holds a tag that protobuf does not allow here."
    case .wrongWireType(let message, let number):
      "Field \(number) of \(message) has the wrong wire type."
    case .repeatedField(let field): "\(field) is given twice."
    case .invalidText(let field): "\(field) is not UTF-8, or holds U+0000."
    case .fieldTooLarge(let field, let max): "\(field) is above its limit of \(max)."
    case .missingBody: "A frame has no body that this version knows."
    case .helloExpected(let frame): "The first frame is \(frame); it must be Hello."
    case .welcomeExpected(let frame): "The first frame is \(frame); it must be Welcome or Goaway."
    case .greetingRepeated(let frame): "\(frame) was sent twice."
    case .frameNotAllowed(let frame): "\(frame) is not a frame that this side may send here."
    case .streamMisplaced(let frame, let stream): "\(frame) does not belong on stream \(stream)."
    case .enhanceYourCalm(let what): "Too many \(what)."
    case .helloTimeout: "Hello did not arrive in time."
    case .welcomeTimeout: "Welcome did not arrive in time."
    case .frameTimeout: "A frame began and was not completed in time."
    case .pongTimeout: "A Ping was not answered in time."
    case .streamOutOfOrder(let stream, let expected):
      "Call opens stream \(stream); the next stream is \(expected)."
    case .streamNeverOpened(let frame, let stream):
      "\(frame) is for stream \(stream), which was never opened."
    case .streamHalfClosed(let stream): "Data on stream \(stream) after its end_of_requests."
    case .frameAfterEnd(let frame, let stream): "\(frame) on stream \(stream) after its End."
    case .windowOverrun(let stream):
      "Data on \(Self.window(stream)) while that window is used up; wait for Credit."
    case .windowOverflow(let stream):
      "Credit takes the window of \(Self.window(stream)) above 2^63-1."
    }
  }

  private static func window(_ stream: UInt32) -> String {
    stream == 0 ? "the connection" : "stream \(stream)"
  }
}
