internal import EventLoop
internal import Messages

extension Session {
  /// What a Call beyond its key's rate is answered; nil when it is within.
  func beyondRate(_ requestBytes: Int) -> CallError? {
    guard let rate, let wait = rate.takeCall(requestBytes, now: loop.now.nanoseconds) else {
      return nil
    }
    server.metrics.callsRateLimited &+= 1
    let milliseconds = wait / 1_000_000 + 1
    return CallError(
      RpcErrorReason.rateLimited,
      "This API key makes more calls or moves more bytes a second than it may; "
        + "go on in \(milliseconds) ms.",
      retryAfter: .milliseconds(Int64(clamping: milliseconds)))
  }

  /// Counts a Call that was refused for the rate, and reads nothing for a while after too many.
  func countRefusal() {
    if loop.now.since(refusedSince) >= .seconds(1) {
      refusedSince = loop.now
      refusedCalls = 0
    }
    refusedCalls += 1
    guard refusedCalls > settings.rateRefusalsPerSecondMax else { return }
    rest(settings.rateRefusalPause)
  }

  /// Reads nothing for a while of a peer whose frames bring it nothing and cost the others.
  ///
  /// Half as long to half as long again: connections that stop together do not come back together.
  func rest(_ pause: Duration) {
    guard !isPenalized else { return }
    isPenalized = true
    server.metrics.connectionsPenalized &+= 1
    pauseReading()
    loop.schedule(after: pause * Double.random(in: 0.5...1.5)) { [weak self] in
      guard let self else { return }
      isPenalized = false
      resumeReadingIfPossible()
    }
  }

  /// Counts message bytes that are not a Call's.
  func charge(_ bytes: Int) { rate?.charge(bytes, now: loop.now.nanoseconds) }

  /// Whether streams wait because their key has no bytes left; they go on when it has.
  ///
  /// Streams are slowed, not ended: their answers wait, and so does the Credit for their requests.
  func mustPace() -> Bool {
    guard let rate, let wait = rate.wait(now: loop.now.nanoseconds) else { return false }
    guard !isPacing else { return true }
    isPacing = true
    server.metrics.streamsPaced &+= 1
    // Whoever is deep in debt is looked at now and then, so that no timer is too long.
    loop.schedule(after: min(.nanoseconds(Int64(clamping: wait)), .seconds(1))) { [weak self] in
      self?.goOn()
    }
    return true
  }

  private func goOn() {
    isPacing = false
    guard phase == .serving else { return }
    for call in Array(calls.values) where call.unreturnedBytes > 0 {
      let bytes = call.unreturnedBytes
      call.unreturnedBytes = 0
      returnCredit(call, bytes)
    }
    wakeResponders()
  }
}
