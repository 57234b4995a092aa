internal import EventLoop
internal import Messages
internal import Wire

extension Session {
  // MARK: The start of a call

  /// Routes, authorizes and starts a call.
  func open(_ stream: UInt32, _ frame: Frame.Call, _ body: RawSpan) {
    if let error = beyondRate(frame.message.count) {
      countRefusal()
      return refuse(stream, error)
    }
    guard let principal, let index = server.state.router.find(body.extracting(frame.method)) else {
      return refuse(stream, unknownMethod(body.extracting(frame.method)))
    }
    let method = server.state.router.methods[index]
    let kind = CallKind(method.descriptor.kind)
    if let status = machine.accept(stream, kind: kind) {
      output.end(stream: stream, status: named(status, stream))
      return scheduleFlush()
    }
    let call = CallContext(
      session: self,
      opening: CallContext.Opening(
        principal: principal, stream: stream, arrival: loop.now,
        deadline: settings.wire.deadline(
          timeoutMilliseconds: frame.timeoutMilliseconds, kind: kind,
          arrival: loop.now.nanoseconds
        ).map { Instant(nanoseconds: $0) },
        idempotencyKey: frame.idempotencyKey, traceparent: frame.traceparent),
      methodIndex: index, method: method.descriptor,
      requestBytes: frame.idempotencyKey.isEmpty
        ? [] : unsafe body.extracting(frame.message).withUnsafeBytes { unsafe Array($0) })
    server.metrics.countStart(index)
    calls[stream] = call
    hold(call, kind, messageBytes: frame.message.count)
    guard allowed[index] else { return call.fail(notAllowed(method.descriptor, principal)) }
    start(method, call, frame, body)
  }

  private func notAllowed(_ method: MethodDescriptor, _ principal: Principal) -> CallError {
    if principal.isAnonymous {
      return CallError(
        RpcErrorReason.apiKeyNeeded,
        "\(method.name) needs an API key: connect with one, or log in to get one.")
    }
    return CallError(
      RpcErrorReason.permissionMissing,
      "This key may not call \(method.name): it needs the permission \(method.permission).")
  }

  private func start(
    _ method: ServedMethod, _ call: CallContext, _ frame: Frame.Call, _ body: RawSpan
  ) {
    let message = body.extracting(frame.message)
    if method.descriptor.kind == .clientStreaming || method.descriptor.kind == .bidirectional {
      if !frame.hasNoMessage {
        call.requests.append(unsafe message.withUnsafeBytes { unsafe Array($0) })
        call.isFirstUncounted = true
        queuedMessages += 1
      }
      call.requests.isEnded = frame.endOfRequests
    }
    method.start(message, call)
    // A call that is over when the turn ends needs no clock.
    startedCalls.append(call)
    scheduleFlush()
  }

  /// Counts the message of a Call until its handler is done with it.
  ///
  /// Only where that needs nothing more of the client: a stream of answers may wait for Credit,
  /// which is not read while reading pauses.
  private func hold(_ call: CallContext, _ kind: CallKind, messageBytes: Int) {
    guard kind != .serverStreaming else { return }
    call.heldBytes = messageBytes
    callBytes += messageBytes
    if waitingBytes > settings.outputBytesPause { pauseReading() }
  }

  /// A handler is done with the message of its Call.
  func letGo(_ call: CallContext) {
    callBytes -= call.heldBytes
    call.heldBytes = 0
  }

  private func refuse(_ stream: UInt32, _ error: CallError) {
    machine.decline(stream)
    output.end(stream: stream, status: named(error.status, stream))
    scheduleFlush()
  }

  private func unknownMethod(_ name: RawSpan) -> CallError {
    let text = unsafe name.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    return CallError(
      RpcErrorReason.methodUnknown,
      "This server has no method \"\(text)\"; ListMethods names those it has.")
  }

  /// Adds the request id.
  private func named(_ status: Status, _ stream: UInt32) -> Status {
    var status = status
    status.requestID = "\(connectionID)-\(stream)"
    return status
  }

  // MARK: The end of a call

  /// Writes the End of a call that succeeded.
  func end(_ call: CallContext, message: RawSpan) {
    guard
      message.byteCount <= Int(settings.wire.frameBytesMax) - FrameWriter.messageFrameOverheadMax
    else {
      return fail(
        call,
        CallError(
          RpcErrorReason.responseTooLarge,
          "The answer of \(message.byteCount) bytes does not fit a frame; ask for less at once."))
    }
    if phase == .serving {
      charge(message.byteCount)
      output.end(stream: call.stream, message: message)
      scheduleFlush()
    }
    finish(call, nil)
  }

  /// Writes the End of a call that failed.
  func fail(_ call: CallContext, _ error: CallError) {
    var error = error
    error.status.requestID = call.requestID
    if error.status.code == .permissionDenied, !call.principal.isAnonymous {
      server.audit.refusals.note(call, error.status.reason)
    }
    if phase == .serving {
      output.end(stream: call.stream, status: error.status)
      scheduleFlush()
    }
    finish(call, error)
  }

  private func finish(_ call: CallContext, _ error: CallError?) {
    calls[call.stream] = nil
    letGo(call)
    queuedMessages -= call.requests.discardAll()
    if phase == .serving {
      let credit = machine.release(call.stream)
      if credit > 0 { output.credit(stream: 0, bytes: credit) }
    }
    let nanoseconds = Instant.now().nanoseconds &- call.startedAt.nanoseconds
    let microseconds = nanoseconds / 1_000
    server.metrics.countEnd(
      call.methodIndex, code: error?.status.codeNumber ?? 0, microseconds: microseconds)
    let observer = server.state.observer
    if error != nil || observer.wantsSuccessfulCalls {
      observer.callEnded(record(call, error, .nanoseconds(Int64(clamping: nanoseconds))))
    }
    resumeReadingIfPossible()
    closeIfDrained()
  }

  private func record(
    _ call: CallContext, _ error: CallError?, _ duration: Duration
  ) -> CallRecord {
    CallRecord(
      method: call.method.name, requestID: call.requestID, traceparent: call.traceparent,
      organizationID: call.principal.organizationID, principalID: call.principal.id,
      code: error?.status.code.name ?? "OK", reason: error?.status.reason ?? "",
      cause: error?.cause, duration: duration, peer: peer.description)
  }

  // MARK: Streams

  /// A handler is done with `bytes` of requests.
  func returnCredit(_ call: CallContext, _ bytes: Int) {
    guard phase == .serving, bytes > 0 else { return }
    if mustPace() {
      call.unreturnedBytes += bytes
      return
    }
    let due = machine.consume(bytes, on: call.stream)
    if due.streamBytes > 0 { output.credit(stream: call.stream, bytes: due.streamBytes) }
    if due.connectionBytes > 0 { output.credit(stream: 0, bytes: due.connectionBytes) }
    if !due.isNone { scheduleFlush() }
  }

  /// A handler has taken a request from its queue: the first is the Call's, if that had one.
  func requestTaken(by call: CallContext) {
    queuedMessages -= 1
    letGo(call)
    resumeReadingIfPossible()
  }

  /// Whether the call may send a response now; if not, it is told when it may.
  func canRespond(_ call: CallContext) -> Bool {
    guard phase == .serving else { return false }
    if output.count - written > settings.outputBytesMax {
      hasBlockedResponders = true
      return false
    }
    if mustPace() {
      hasBlockedResponders = true
      return false
    }
    if machine.canSend(on: call.stream) { return true }
    server.metrics.creditStalls &+= 1
    return false
  }

  /// Sends one response of a stream.
  func respond(_ call: CallContext, _ message: RawSpan) throws(CallError) {
    guard
      message.byteCount <= Int(settings.wire.frameBytesMax) - FrameWriter.messageFrameOverheadMax
    else {
      throw CallError(
        RpcErrorReason.responseTooLarge,
        "A response of \(message.byteCount) bytes does not fit a frame; ask for less at once.")
    }
    guard phase == .serving else { throw CallError(.connectionLost) }
    charge(message.byteCount)
    machine.didSend(message.byteCount, on: call.stream)
    output.data(stream: call.stream, message: message, endOfRequests: false)
    scheduleFlush()
  }
}

extension CallKind {
  init(_ kind: MethodKind) {
    switch kind {
    case .unary: self = .unary
    case .serverStreaming: self = .serverStreaming
    case .clientStreaming: self = .clientStreaming
    case .bidirectional: self = .bidirectional
    }
  }
}
