public import Messages

/// The answers of a server-streaming call.
///
/// Letting go of it cancels the call.
public struct ResponseReader<Response: Message>: Sendable {
  private let call: RawCall

  init(_ call: RawCall) { self.call = call }

  /// The next answer; nil when the server has ended the call in order.
  ///
  /// - Throws: ``ClientError`` when the call failed.
  public func next() async throws(ClientError) -> Response? {
    guard let bytes = try await call.next() else { return nil }
    return try Response.decodeAnswer(bytes)
  }

  /// Ends the call: the server is told, and ``next()`` throws CANCELLED.
  public func cancel() { call.cancel() }
}

/// A call that takes many requests and has one answer.
///
/// Letting go of it cancels the call.
public struct RequestWriter<Request: Message, Response: Message>: Sendable {
  private let call: RawCall

  init(_ call: RawCall) { self.call = call }

  /// Sends a request; returns when it is on its way.
  ///
  /// - Throws: ``ClientError`` when the call has failed.
  public func send(_ request: Request) async throws(ClientError) {
    try await call.send(request.encoded)
  }

  /// Says that no more requests follow, and waits for the answer.
  ///
  /// - Throws: ``ClientError`` when the call failed.
  public func finish() async throws(ClientError) -> Response {
    try await call.finishSending()
    return try Response.decodeAnswer(try await call.answer())
  }

  /// Ends the call: the server is told.
  public func cancel() { call.cancel() }
}

/// A call with many requests and many answers.
///
/// Letting go of it cancels the call.
///
/// One task may send while another reads.
public struct DuplexCall<Request: Message, Response: Message>: Sendable {
  private let call: RawCall

  init(_ call: RawCall) { self.call = call }

  /// Sends a request; returns when it is on its way.
  ///
  /// - Throws: ``ClientError`` when the call has failed.
  public func send(_ request: Request) async throws(ClientError) {
    try await call.send(request.encoded)
  }

  /// Says that no more requests follow; answers may still come.
  ///
  /// - Throws: ``ClientError`` when the call has failed.
  public func finishSending() async throws(ClientError) {
    try await call.finishSending()
  }

  /// The next answer; nil when the server has ended the call in order.
  ///
  /// - Throws: ``ClientError`` when the call failed.
  public func next() async throws(ClientError) -> Response? {
    guard let bytes = try await call.next() else { return nil }
    return try Response.decodeAnswer(bytes)
  }

  /// Ends the call: the server is told.
  public func cancel() { call.cancel() }
}

extension Message {
  static func decodeAnswer(_ bytes: [UInt8]) throws(ClientError) -> Self {
    do throws(MessageError) {
      return try decode(bytes)
    } catch {
      throw .protocolViolation("The answer is no valid \(fullName): \(error).")
    }
  }
}
