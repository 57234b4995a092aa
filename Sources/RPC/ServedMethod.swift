internal import EventLoop
public import Messages

/// A method with its handler: one row of the router's table.
///
/// A value and not a type for each pair of messages: for such a type the runtime would look through
/// every conformance of the program when the table is made.
public struct ServedMethod: Sendable {
  /// Name, kind, permission, audit and idempotency, from the .proto.
  public let descriptor: MethodDescriptor

  /// Decodes the first request, where there is one, and runs the handler as a task of the call's
  /// loop.
  ///
  /// Every path ends in one `finish` or `fail` of the call. A call that was cancelled before its
  /// turn ends without a handler: to do the work of who gives up at once would cost the others.
  let start: @Sendable (RawSpan, CallContext) -> Void

  /// One request, one response.
  public static func unary<Request: Message, Response: Message>(
    _ descriptor: MethodDescriptor,
    _ handler: @escaping @Sendable (Request, CallContext) async throws(CallError) -> Response
  ) -> ServedMethod {
    ServedMethod(descriptor: descriptor) { message, call in
      guard let request = call.decode(Request.self, message) else { return }
      call.loop.spawn {
        do throws(CallError) {
          try call.checkCancellation()
          call.finish(try await handler(request, call))
        } catch {
          call.fail(error)
        }
      }
    }
  }

  /// One request, a stream of responses, which the handler writes.
  public static func serverStreaming<Request: Message, Response: Message>(
    _ descriptor: MethodDescriptor,
    _ handler:
      @escaping @Sendable (Request, ResponseStream<Response>, CallContext)
      async throws(CallError) -> Void
  ) -> ServedMethod {
    ServedMethod(descriptor: descriptor) { message, call in
      guard let request = call.decode(Request.self, message) else { return }
      call.loop.spawn {
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

  /// A stream of requests, which the handler reads as they come, and one response.
  public static func clientStreaming<Request: Message, Response: Message>(
    _ descriptor: MethodDescriptor,
    _ handler:
      @escaping @Sendable (RequestStream<Request>, CallContext)
      async throws(CallError) -> Response
  ) -> ServedMethod {
    ServedMethod(descriptor: descriptor) { _, call in
      call.loop.spawn {
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
  public static func bidirectional<Request: Message, Response: Message>(
    _ descriptor: MethodDescriptor,
    _ handler:
      @escaping @Sendable (RequestStream<Request>, ResponseStream<Response>, CallContext)
      async throws(CallError) -> Void
  ) -> ServedMethod {
    ServedMethod(descriptor: descriptor) { _, call in
      call.loop.spawn {
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
}
