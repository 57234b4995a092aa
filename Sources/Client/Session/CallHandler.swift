public import Wire

/// Is told what happens to calls of a session.
///
/// Lives on the session's loop.
///
/// One handler may serve many calls. Every call ends once, with ``callEnded(_:_:_:)`` or
/// ``callLost(_:_:mayHaveStarted:)``, unless it is given up by ``ClientSession/abandon(_:)``. A
/// handler may start, send and abandon calls from within.
public protocol CallHandler: AnyObject {
  /// An answer of a stream arrived; its bytes are gone when this returns. Once it is used,
  /// ``ClientSession/consume(_:on:)`` its byte count, or the server stops sending.
  func callReceived(_ stream: UInt32, _ message: RawSpan)

  /// ``ClientSession/send(_:on:endOfRequests:)`` refused before and may do better now.
  func callMaySend(_ stream: UInt32)

  /// The server ended the call; nil is success, and then `message` is the answer of a call that
  /// has one.
  func callEnded(_ stream: UInt32, _ status: Status?, _ message: RawSpan)

  /// The connection ended before the call did; `mayHaveStarted` is false when the server is known
  /// not to have begun with it.
  func callLost(_ stream: UInt32, _ error: ClientError, mayHaveStarted: Bool)
}

/// Is told what becomes of a session.
///
/// Lives on the session's loop.
public protocol SessionOwner: AnyObject {
  /// The session takes calls.
  func sessionOpened(_ session: ClientSession, _ welcome: Welcome)

  /// A call ended, so that another may find room.
  func sessionHasRoom(_ session: ClientSession)

  /// The server drains: new calls go elsewhere, open ones still end.
  func sessionDrains(_ session: ClientSession)

  /// The session is over, before or after it took calls; told once, after every call's own end.
  func sessionClosed(_ session: ClientSession, _ error: ClientError)

  /// A Ping was answered after `roundTrip`.
  func sessionPonged(_ session: ClientSession, _ token: UInt64)
}
