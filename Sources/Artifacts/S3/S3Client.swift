internal import EventLoop
internal import Glibc
internal import Synchronization
internal import TLS

/// A request of a bucket.
struct S3Request: Sendable {
  var method: String
  /// The object; empty = the bucket itself.
  var key = ""
  var query: [(name: String, value: String)] = []
  /// Lower-case names.
  var headers: [(name: String, value: String)] = []
  var body: [UInt8] = []
  /// The most bytes that the answer has.
  var room = S3Client.answerBytesMax

  init(_ method: String, _ key: String = "") {
    self.method = method
    self.key = key
  }
}

/// Sends requests, signed, on threads of its own; what may pass by itself is tried again.
final class S3Client: Sendable {
  /// The largest answer that is not an object's bytes: a page of a listing.
  static let answerBytesMax = 2 << 20
  /// Requests that wait, beyond which a caller is asked to come back.
  static let waitingMax = 4_096
  /// How often a request is sent at most.
  static let attemptsMax = 4
  /// The longest pause before the second attempt, in milliseconds; it doubles with each.
  static let pauseMaxMilliseconds: UInt64 = 200
  /// How long requests are sent once only after one has found nobody, in microseconds.
  static let awayMicroseconds: Int64 = 5_000_000

  let settings: S3Settings
  private let scheme: String
  private let host: String
  private let bucketPath: String
  private let source: S3CredentialsSource
  private let threads: HelperThreads
  private let tell: @Sendable (String) -> Void
  private let state: Mutex<State>

  private struct State {
    var idle: [Kept] = []
    var credentials: S3Credentials
    /// When nobody answered last.
    var awaySince: Int64?
  }

  /// A connection that waits for its next request.
  private final class Kept: Sendable {
    let connection: Mutex<S3Connection>
    init(_ connection: consuming sending S3Connection) { self.connection = Mutex(connection) }
  }

  /// Reads the keys; nothing is sent.
  ///
  /// - Throws: ``ArtifactStoreError`` where no request could be sent.
  init(
    _ settings: S3Settings, tell: @escaping @Sendable (String) -> Void
  ) throws(ArtifactStoreError) {
    guard let bucket = settings.bucket, let text = settings.endpoint,
      let endpoint = Endpoint(text)
    else { throw .failed("artifact-s3-endpoint and artifact-s3-bucket must be set") }
    if let file = settings.authorityFile, unsafe access(file, R_OK) != 0 {
      throw fileError("access")
    }
    guard S3Connection.prepare() else { throw .failed("libcurl cannot be used") }
    self.settings = settings
    self.tell = tell
    scheme = endpoint.scheme
    host = settings.style == .host ? "\(bucket).\(endpoint.authority)" : endpoint.authority
    bucketPath = settings.style == .host ? "" : "/\(bucket)"
    source = S3CredentialsSource(file: settings.credentialsFile)
    state = Mutex(State(credentials: try source.read()))
    threads = HelperThreads(
      "needletail-s3", countMax: settings.requestsMax, waitingMax: S3Client.waitingMax)
  }

  /// What `x-amz-copy-source` says of an object.
  func copySource(_ key: String) -> String {
    "/\(settings.bucket ?? "")/\(URIText.escaped(key, isPath: true))"
  }

  /// Sends a request and returns its answer, a success or one of `statuses`.
  func ask(
    _ request: S3Request, or statuses: [Int] = []
  ) async throws(ArtifactStoreError) -> S3Answer {
    try await onThread { [self] () throws(ArtifactStoreError) in
      try send(request, or: statuses)
    }
  }

  /// Runs what may block, or takes long, on one of the threads.
  func onThread<Value: Sendable>(
    _ work: @escaping @Sendable () throws(ArtifactStoreError) -> Value
  ) async throws(ArtifactStoreError) -> Value {
    let result = await threads.runIfFree { () -> Result<Value, ArtifactStoreError> in
      do throws(ArtifactStoreError) { return .success(try work()) } catch { return .failure(error) }
    }
    guard let result else { throw .busy }
    return try result.get()
  }

  /// Sends a request from one of the threads, again where that may help.
  func send(
    _ request: S3Request, or statuses: [Int] = []
  ) throws(ArtifactStoreError) -> S3Answer {
    let digest = Digest.sha256(request.body)
    var credentials = state.withLock { $0.credentials }
    var hasReadAgain = false
    var attempt = 1
    while true {
      let problem: ArtifactStoreError
      let begun = WallClock.microseconds()
      switch try attemptOnce(request, digest, credentials) {
      case .answer(let answer):
        noteAnswer()
        if answer.isSuccess || statuses.contains(answer.status) { return answer }
        let failure = S3Failure(answer)
        // Keys that last for a while are replaced in their file.
        if failure.isAboutCredentials, !hasReadAgain {
          hasReadAgain = true
          let found = try source.read()
          state.withLock { $0.credentials = found }
          if found != credentials {
            credentials = found
            continue
          }
        }
        if !failure.mayPass { throw failure.error }
        problem = failure.error
      case .away(let cause):
        problem = .away(cause)
        if noteAway(cause, begun), attempt > 1 { throw problem }
      case .failed(let error):
        tell("S3: \(error)")
        throw error
      }
      if attempt == S3Client.attemptsMax { throw problem }
      pause(behind: attempt)
      attempt += 1
    }
  }

  private func attemptOnce(
    _ request: S3Request, _ digest: [UInt8], _ credentials: S3Credentials
  ) throws(ArtifactStoreError) -> S3Connection.Outcome {
    let signature = S3Signature(
      credentials: credentials, region: settings.region,
      time: S3Time.basic(WallClock.microseconds() / 1_000_000))
    let path = "\(bucketPath)/\(URIText.escaped(request.key, isPath: true))"
    var headers = request.headers
    // Not every server compares a body with the digest that is signed; with this one all do.
    if request.method == "PUT", !request.body.isEmpty {
      headers.append(("x-amz-checksum-sha256", Base64.text(digest)))
    }
    let added = signature.headers(
      request.method, path: path, query: request.query, headers: headers + [("host", host)],
      digest: digest)
    let lines = (headers + added).map { "\($0.name): \($0.value)\n" }.joined()
    let query = request.query.isEmpty ? "" : "?" + S3Signature.queryText(request.query)
    let kept =
      if let idle = state.withLock({ $0.idle.popLast() }) { idle } else {
        Kept(try S3Connection(settings))
      }
    let outcome = kept.connection.withLock { connection in
      connection.send(
        request.method, "\(scheme)://\(host)\(path)\(query)", lines, request.body,
        room: request.room)
    }
    state.withLock { $0.idle.append(kept) }
    return outcome
  }

  private func noteAnswer() {
    let wasAway = state.withLock { state in
      defer { state.awaySince = nil }
      return state.awaySince != nil
    }
    if wasAway { tell("S3 answers again") }
  }

  /// Remembers that nobody answered; says whether that was so shortly before, too: before the
  /// attempt began, since one that waits in vain may take longer than what is short.
  private func noteAway(_ cause: String, _ begun: Int64) -> Bool {
    let before = state.withLock { state in
      defer { state.awaySince = WallClock.microseconds() }
      return state.awaySince
    }
    if before == nil { tell("S3 does not answer: \(cause)") }
    return before.map { begun - $0 < S3Client.awayMicroseconds } ?? false
  }

  /// Waits a while, drawn so that many do not come again at once.
  private func pause(behind attempt: Int) {
    let most = S3Client.pauseMaxMilliseconds << UInt64(attempt - 1)
    let milliseconds = UInt64.random(in: most / 2...most)
    var time = timespec(
      tv_sec: Int(milliseconds / 1_000), tv_nsec: Int(milliseconds % 1_000) * 1_000_000)
    // What a signal leaves of it need not be waited for.
    unsafe nanosleep(&time, nil)
  }
}

/// An answer of S3 that is none.
struct S3Failure {
  let status: Int
  /// Like `NoSuchKey`; empty where the answer says nothing.
  let code: String

  init(_ answer: S3Answer) {
    status = answer.status
    // Only the code is told: a message may hold what was signed.
    let code = XMLText.first("Code", in: String(decoding: answer.body, as: UTF8.self))
    self.code = code.map(String.init) ?? ""
  }

  /// What the code and the status come to, for the log and for the caller.
  private var text: String { code.isEmpty ? "HTTP status \(status)" : code }

  var isAboutCredentials: Bool {
    status == 403 || ["ExpiredToken", "InvalidToken", "TokenRefreshRequired"].contains(code)
  }

  /// Whether the same request may succeed shortly.
  var mayPass: Bool {
    if isFull { return false }
    switch status {
    case 408, 409, 429, 500, 502, 503, 504: return true
    default:
      return ["RequestTimeout", "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody"]
        .contains(code)
    }
  }

  private var isFull: Bool {
    status == 507
      || ["QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "InsufficientCapacity"]
        .contains(code)
  }

  var error: ArtifactStoreError {
    if isFull { return .full }
    switch status {
    case 404 where code != "NoSuchBucket": return .missing
    case 301, 307, 400...407:
      // What was changed on its way is nobody's fault who could do anything about it.
      return mayPass ? .failed("S3: \(text)") : .denied(text)
    case 429, 503: return .busy
    case 408, 500..<600: return .away(text)
    default: return .failed("S3: \(text)")
    }
  }
}
