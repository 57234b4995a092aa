/// One frame of the needletail/1 protocol, decoded.
///
/// Payloads are not copied: they are ranges in the frame's body, which the reader of the frame
/// still holds. Text is owned, and costs nothing where it is empty.
public struct Frame: Sendable, Equatable {
  /// The stream that the frame belongs to; 0 is the connection itself.
  public var stream: UInt32

  /// What the frame says.
  public var body: Body

  /// Makes a frame.
  public init(stream: UInt32, body: Body) {
    self.stream = stream
    self.body = body
  }

  /// The frame kinds, in the order of their field numbers.
  public enum Body: Sendable, Equatable {
    /// Client to server: the first frame, once.
    indirect case hello(Hello)
    /// Server to client: the answer to Hello, once.
    indirect case welcome(Welcome)
    /// Client to server: opens a stream.
    case call(Call)
    /// Either direction: one message on an open stream.
    case data(Data)
    /// Server to client: closes a stream.
    case end(End)
    /// Client to server: the answer is no longer wanted.
    case cancel
    /// Either direction: this many more message bytes may be sent.
    case credit(bytes: UInt64)
    /// Either direction: asks for a Pong with the same token.
    case ping(token: UInt64)
    /// Either direction: echoes a Ping.
    case pong(token: UInt64)
    /// Either direction: a drain, or the end of the connection.
    indirect case goaway(Goaway)
  }

  /// The opening of a stream.
  public struct Call: Sendable, Equatable {
    /// Where the method's name is in the frame's body, at most 256 bytes of valid UTF-8.
    public var method: Range<Int>
    /// Where the first request message is in the frame's body; empty where it is absent.
    public var message: Range<Int>
    /// Milliseconds that the caller waits; 0 is the server's default.
    public var timeoutMilliseconds: UInt32
    /// Whether no Data follows.
    public var endOfRequests: Bool
    /// Whether the stream opens without a first message.
    public var hasNoMessage: Bool
    /// At most 64 bytes; empty for none.
    public var idempotencyKey: String
    /// W3C Trace Context, at most 256 bytes; empty for none.
    public var traceparent: String
    /// At most 32 entries and 8 KiB of keys and values.
    public var metadata: [String: String]

    /// Makes the opening of a stream, all optional parts empty.
    public init(method: Range<Int>, message: Range<Int>, endOfRequests: Bool) {
      self.method = method
      self.message = message
      self.timeoutMilliseconds = 0
      self.endOfRequests = endOfRequests
      self.hasNoMessage = false
      self.idempotencyKey = ""
      self.traceparent = ""
      self.metadata = [:]
    }
  }

  /// One message on an open stream.
  public struct Data: Sendable, Equatable {
    /// Where the message is in the frame's body; empty where it is absent.
    public var message: Range<Int>
    /// Whether the client sends no more messages.
    public var endOfRequests: Bool

    /// Makes a message.
    public init(message: Range<Int>, endOfRequests: Bool) {
      self.message = message
      self.endOfRequests = endOfRequests
    }

    /// Whether the frame carries no message and only says that none follows.
    public var isOnlyHalfClose: Bool { endOfRequests && message.isEmpty }
  }

  /// The end of a stream.
  public struct End: Sendable, Equatable {
    /// The call's status; nil is OK.
    public var status: Status?
    /// Where the answer is in the frame's body; empty for errors and for calls that stream answers.
    public var message: Range<Int>

    /// Makes the end of a stream.
    public init(status: Status?, message: Range<Int>) {
      self.status = status
      self.message = message
    }
  }
}

extension Frame.Body {
  /// The frame kind's name in frame.proto.
  public var name: String {
    switch self {
    case .hello: "Hello"
    case .welcome: "Welcome"
    case .call: "Call"
    case .data: "Data"
    case .end: "End"
    case .cancel: "Cancel"
    case .credit: "Credit"
    case .ping: "Ping"
    case .pong: "Pong"
    case .goaway: "Goaway"
    }
  }
}
