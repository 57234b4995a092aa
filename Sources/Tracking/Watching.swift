internal import EventLoop
internal import Messages
internal import Postgres
internal import RPC

/// The bounds of watching.
enum WatchBounds {
  /// Chunks that one statement reads.
  static let chunksPerRead: Int64 = 64
  /// Points after which a statement reads no further chunk.
  static let pointsPerRead: Int64 = 50_000
  /// Points in one message.
  static let pointsPerMessage = 25_000
  /// Looks without a change after which the token alone is sent, so that it does not grow old.
  static let quietLooksPerToken = 30
}

/// Refuses to go on where points that came already can no longer be told from others.
func pointsMerged() -> CallError {
  CallError(
    RpcErrorReason.resumeTokenExpired,
    "Points that the watcher has seen were merged with others meanwhile; begin again without a "
      + "resume_token.")
}

/// Somebody who follows something through the commits that change it.
protocol Watch {
  associatedtype Response: Message
  /// Whether nothing more will come.
  var hasEnded: Bool { get }
  /// How long to let changes gather before the next look; nil = not at all.
  var pause: Duration? { get }
  /// Whether the token is sent at once: whoever left out what was before has no other beginning.
  var hasSkipped: Bool { get }
  /// A message that says how far the watcher has come.
  func message() -> Response
  /// Sends what was committed since the last look; says whether that was anything.
  mutating func look(
    _ send: (Response) async throws(CallError) -> Void
  ) async throws(CallError) -> Bool
}

extension Watch {
  var pause: Duration? { nil }
  var hasSkipped: Bool { false }

  /// Looks whenever `signal` says so, and now and then without, until the end unless asked to
  /// stay.
  mutating func follow(
    _ signal: Signal, in projectID: UUID, unseen: CallError, stay: Bool,
    _ responses: ResponseStream<Response>, _ call: CallContext
  ) async throws(CallError) {
    var quietLooks = hasSkipped ? WatchBounds.quietLooksPerToken - 1 : 0
    while true {
      // Who may no longer look is not told of what comes after.
      guard try await call.roleInProject(projectID) != nil else { throw unseen }
      let seen = signal.count
      let hasSent = try await look { (response) async throws(CallError) in
        try await responses.send(response)
      }
      let isLast = hasEnded && !stay
      quietLooks = hasSent ? 0 : quietLooks + 1
      if quietLooks == WatchBounds.quietLooksPerToken || (isLast && !hasSent) {
        quietLooks = 0
        try await responses.send(message())
      }
      if isLast { return }
      if hasSent, let pause {
        try await call.wait(for: Signal(), atMost: pause, unless: { false })
      }
      try await call.wait(
        for: signal, atMost: ChangeFeed.pollInterval, unless: { signal.count != seen })
    }
  }
}

/// How far one watcher has come: up to a snapshot of the database, which tells exactly which
/// commits it has seen, in whatever order they became visible.
struct WatchCursor {
  /// The snapshot that knows no transaction at all.
  static let beginning = "1:1:"

  /// What a token is for: those of other watches are refused.
  let purpose: String
  /// What is watched, as a refusal calls it.
  let subject: String
  private let call: CallContext

  private(set) var snapshot = WatchCursor.beginning
  /// In the middle of what is between `snapshot` and another: that other, and the place there.
  private(set) var place: (until: String, words: [String])?
  private var clusterID = ""

  init(_ purpose: String, of subject: String, _ call: CallContext) {
    self.purpose = purpose
    self.subject = subject
    self.call = call
  }

  /// Finds where to begin; a place in the middle has these words.
  ///
  /// - Returns: What the database shows now, where there is no token; nil where there is.
  mutating func begin(
    _ token: String, place words: [WatchWord]
  ) async throws(CallError) -> String? {
    let now = try await call.read(MetricsQueries.getSnapshot())
    clusterID = now.clusterID
    if token.isEmpty { return now.snapshot }
    let parts = Token.readText(token, for: purpose)?.split(separator: " ").map(String.init) ?? []
    guard parts.count == 2 || parts.count == 3 + words.count,
      parts[1..<min(3, parts.count)].allSatisfy(SnapshotText.isValid),
      zip(words, parts.dropFirst(3)).allSatisfy({ $0.accepts($1) })
    else {
      throw CallError(
        RpcErrorReason.resumeTokenInvalid,
        "The resume_token is not one that a watch of \(subject) gave.")
    }
    guard parts[0] == clusterID else {
      throw CallError(
        RpcErrorReason.resumeTokenExpired,
        "The resume_token is of another database; begin again without it.")
    }
    snapshot = parts[1]
    if parts.count > 2 { place = (parts[2], Array(parts[3...])) }
    return nil
  }

  /// The token that says how far the watcher has come.
  var token: String {
    var words = [clusterID, snapshot]
    if let place { words += [place.until] + place.words }
    return Token.make(Array(words.joined(separator: " ").utf8), for: purpose)
  }

  /// Up to where the next look goes: what the database shows now, or where one was broken off.
  func next() async throws(CallError) -> String {
    let now = try await call.read(MetricsQueries.getSnapshot())
    guard now.clusterID == clusterID else {
      throw CallError(
        RpcErrorReason.resumeTokenExpired,
        "The database was replaced by another; begin again without a resume_token.")
    }
    return place?.until ?? now.snapshot
  }

  /// Notes a place on the way to `until`.
  mutating func arrive(at words: [String], before until: String) { place = (until, words) }

  /// Notes that everything up to `until` was sent.
  mutating func reach(_ until: String) {
    place = nil
    snapshot = until
  }
}
