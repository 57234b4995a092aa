internal import EventLoop
public import Messages

/// A method with its handler: one row of the router's table.
public protocol ServedMethod: Sendable {
  /// Name, kind, permission, audit and idempotency, from the .proto.
  var descriptor: MethodDescriptor { get }

  /// Decodes the first request, where there is one, and runs the handler as a task of the call's
  /// loop.
  ///
  /// Every path ends in one `finish` or `fail` of `call`. A call that was cancelled before its turn
  /// ends without a handler: to do the work of who gives up at once would cost the others.
  func start(_ message: RawSpan, _ call: CallContext)
}

/// One request, one response.
public struct UnaryMethod<Request: Message, Response: Message>: ServedMethod {
  /// The shape of the handler.
  public typealias Handler =
    @Sendable (Request, CallContext) async throws(CallError) -> Response

  /// What the .proto says about the method.
  public let descriptor: MethodDescriptor
  private let handler: Handler

  /// Binds a handler to its method.
  public init(_ descriptor: MethodDescriptor, _ handler: @escaping Handler) {
    self.descriptor = descriptor
    self.handler = handler
  }

  /// Decodes the request and answers with what the handler returns.
  public func start(_ message: RawSpan, _ call: CallContext) {
    guard let request = call.decode(Request.self, message) else { return }
    call.loop.spawn { [handler] in
      do throws(CallError) {
        try call.checkCancellation()
        call.finish(try await handler(request, call))
      } catch {
        call.fail(error)
      }
    }
  }
}

/// One request, a stream of responses.
public struct ServerStreamingMethod<Request: Message, Response: Message>: ServedMethod {
  /// The shape of the handler.
  public typealias Handler =
    @Sendable (Request, ResponseStream<Response>, CallContext) async throws(CallError) -> Void

  /// What the .proto says about the method.
  public let descriptor: MethodDescriptor
  private let handler: Handler

  /// Binds a handler to its method.
  public init(_ descriptor: MethodDescriptor, _ handler: @escaping Handler) {
    self.descriptor = descriptor
    self.handler = handler
  }

  /// Decodes the request; the handler writes the responses.
  public func start(_ message: RawSpan, _ call: CallContext) {
    guard let request = call.decode(Request.self, message) else { return }
    call.loop.spawn { [handler] in
      do throws(CallError) {
        try call.checkCancellation()
        try await handler(request, ResponseStream(call), call)
        call.finish()
      } catch {
        call.fail(error)
      }
    }
  }
}

/// A stream of requests, one response.
public struct ClientStreamingMethod<Request: Message, Response: Message>: ServedMethod {
  /// The shape of the handler.
  public typealias Handler =
    @Sendable (RequestStream<Request>, CallContext) async throws(CallError) -> Response

  /// What the .proto says about the method.
  public let descriptor: MethodDescriptor
  private let handler: Handler

  /// Binds a handler to its method.
  public init(_ descriptor: MethodDescriptor, _ handler: @escaping Handler) {
    self.descriptor = descriptor
    self.handler = handler
  }

  /// Runs the handler at once; it reads the requests as they come.
  public func start(_ message: RawSpan, _ call: CallContext) {
    call.loop.spawn { [handler] in
      do throws(CallError) {
        try call.checkCancellation()
        call.finish(try await handler(RequestStream(call), call))
      } catch {
        call.fail(error)
      }
    }
  }
}

/// A stream of requests, a stream of responses.
public struct BidirectionalMethod<Request: Message, Response: Message>: ServedMethod {
  /// The shape of the handler.
  public typealias Handler =
    @Sendable (RequestStream<Request>, ResponseStream<Response>, CallContext)
    async throws(CallError) -> Void

  /// What the .proto says about the method.
  public let descriptor: MethodDescriptor
  private let handler: Handler

  /// Binds a handler to its method.
  public init(_ descriptor: MethodDescriptor, _ handler: @escaping Handler) {
    self.descriptor = descriptor
    self.handler = handler
  }

  /// Runs the handler at once; it reads the requests and writes the responses.
  public func start(_ message: RawSpan, _ call: CallContext) {
    call.loop.spawn { [handler] in
      do throws(CallError) {
        try call.checkCancellation()
        try await handler(RequestStream(call), ResponseStream(call), call)
        call.finish()
      } catch {
        call.fail(error)
      }
    }
  }
}
