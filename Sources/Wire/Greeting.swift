/// The client's first frame: who it is.
public struct Hello: Sendable, Equatable {
  /// The secret that authenticates the connection.
  ///
  /// Never logged.
  public var apiKey: String
  /// The client's software, for the server's log: "needletail-python/0.1.0 cpython/3.12 linux".
  public var client: String
  /// Bytes that the client buffers a stream; 0 is the default of 1 MiB.
  public var streamWindowBytes: UInt64

  /// Makes a Hello.
  public init(apiKey: String, client: String, streamWindowBytes: UInt64) {
    self.apiKey = apiKey
    self.client = client
    self.streamWindowBytes = streamWindowBytes
  }
}

/// The server's answer to Hello: who the key is, and the limits.
public struct Welcome: Sendable, Equatable {
  /// The server's software: "needletail/0.1.0".
  public var server: String
  /// The organization (UUID) that the key belongs to.
  public var organizationID: String
  /// The user or service account (UUID) that the key acts as.
  public var userID: String
  /// The key's own id (UUID).
  public var apiKeyID: String
  /// The connection's id, also in the server's log and in the audit log.
  public var connectionID: String
  /// What the server holds the client to; nil where the server said nothing.
  public var limits: Limits?

  /// Makes a Welcome.
  public init(
    server: String, organizationID: String, userID: String, apiKeyID: String,
    connectionID: String, limits: Limits?
  ) {
    self.server = server
    self.organizationID = organizationID
    self.userID = userID
    self.apiKeyID = apiKeyID
    self.connectionID = connectionID
    self.limits = limits
  }
}

/// What a server announces in Welcome.
///
/// A 0 is the protocol's default.
public struct Limits: Sendable, Equatable {
  /// Bytes of a frame in either direction, its length prefix excluded; default 4 MiB.
  public var frameBytesMax: UInt32
  /// Streams that may be open at once; default 256.
  public var openStreamsMax: UInt32
  /// Client-to-server window of a stream, in message bytes; default 1 MiB.
  public var streamWindowBytes: UInt64
  /// Client-to-server window of the connection, in message bytes; default 8 MiB.
  public var connectionWindowBytes: UInt64
  /// Milliseconds of silence after which the server pings; default 60,000.
  public var idleTimeoutMilliseconds: UInt32
  /// Milliseconds that a unary call may take; default 60,000.
  public var callTimeoutMaxMilliseconds: UInt32

  /// Makes the limits of a server.
  public init(
    frameBytesMax: UInt32, openStreamsMax: UInt32, streamWindowBytes: UInt64,
    connectionWindowBytes: UInt64, idleTimeoutMilliseconds: UInt32,
    callTimeoutMaxMilliseconds: UInt32
  ) {
    self.frameBytesMax = frameBytesMax
    self.openStreamsMax = openStreamsMax
    self.streamWindowBytes = streamWindowBytes
    self.connectionWindowBytes = connectionWindowBytes
    self.idleTimeoutMilliseconds = idleTimeoutMilliseconds
    self.callTimeoutMaxMilliseconds = callTimeoutMaxMilliseconds
  }
}

/// A drain (without a status) or the end of the connection (with one).
public struct Goaway: Sendable, Equatable {
  /// The last stream that is answered; the largest number while a drain is only announced.
  public var lastStream: UInt32
  /// Why the connection ends; nil for a drain.
  public var status: Status?

  /// Makes a Goaway.
  public init(lastStream: UInt32, status: Status?) {
    self.lastStream = lastStream
    self.status = status
  }
}
