internal import CCurl
internal import EventLoop

/// A connection to the endpoint, kept between requests; one thread uses it at a time.
@safe struct S3Connection: ~Copyable {
  private let http: OpaquePointer

  /// Nothing is connected before the first request.
  init(_ settings: S3Settings) throws(ArtifactStoreError) {
    var patience = ntl_http_patience(
      connect_ms: Int64(clamping: settings.connectTimeout.wholeNanoseconds / 1_000_000),
      stall_seconds: max(1, settings.stallTimeout.components.seconds),
      request_ms: Int64(clamping: settings.requestTimeout.wholeNanoseconds / 1_000_000))
    let made =
      if let file = settings.authorityFile {
        unsafe ntl_http_new(file, &patience)
      } else {
        unsafe ntl_http_new(nil, &patience)
      }
    guard let made = unsafe made else { throw .failed("libcurl gives no connection") }
    unsafe http = made
  }

  deinit { unsafe ntl_http_free(http) }

  /// Whether the library can be used; to be called before any other thread uses it.
  static func prepare() -> Bool { ntl_http_prepare() == 1 }

  /// What came of sending.
  enum Outcome {
    case answer(S3Answer)
    /// Nobody answers, or not in time.
    case away(String)
    case failed(ArtifactStoreError)
  }

  /// Sends a request and waits for its answer, of at most `room` bytes.
  func send(
    _ method: String, _ url: String, _ headers: String, _ body: [UInt8], room: Int
  ) -> Outcome {
    var answer = ntl_http_answer()
    var result = NTL_HTTP_FAILED
    let content = unsafe [UInt8](unsafeUninitializedCapacity: room) { buffer, initialized in
      unsafe body.withUnsafeBytes { body in
        result = unsafe ntl_http_perform(
          http, method, url, headers, body.baseAddress, body.count, buffer.baseAddress, room,
          &answer)
      }
      initialized = answer.size
    }
    switch result {
    case NTL_HTTP_ANSWERED:
      return .answer(
        S3Answer(
          status: Int(answer.status), body: content, contentLength: answer.content_length,
          etag: text(&answer.etag)))
    case NTL_HTTP_AWAY: return .away(text(&answer.problem))
    case NTL_HTTP_TOO_LARGE: return .failed(.failed("S3 answered with more than \(room) bytes"))
    case NTL_HTTP_UNTRUSTED: return .failed(.denied(text(&answer.problem)))
    default: return .failed(.failed("libcurl: \(text(&answer.problem))"))
    }
  }

  /// The text in an array of C.
  private func text<Characters>(_ characters: inout Characters) -> String {
    unsafe withUnsafeBytes(of: &characters) { bytes in
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
  }
}

/// What S3 answered.
struct S3Answer: Sendable {
  let status: Int
  let body: [UInt8]
  /// What the body's length is, or would be; -1 where that was not said.
  let contentLength: Int64
  /// With its quotes; empty where there is none.
  let etag: String

  var isSuccess: Bool { (200..<300).contains(status) }
}
