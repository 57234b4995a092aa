internal import TLS

/// The keys that requests are signed with.
struct S3Credentials: Sendable, Equatable {
  let accessKey: String
  let secret: String
  /// Of keys that last for a while only.
  var sessionToken: String?
}

/// AWS Signature Version 4.
///
/// libcurl has its own, but of the packaged version it leaves the query's order and the digests of
/// bodies that are read in parts to the caller, which is all but the cheap half.
struct S3Signature {
  let credentials: S3Credentials
  let region: String
  /// Like `20130524T000000Z`.
  let time: String

  /// The lines that a request needs besides its own: the signature covers every one of both.
  ///
  /// The path is escaped as the request has it; the query's names and values are as they are, in
  /// any order; the names of headers are in lower case, `host` among them; the digest is the
  /// body's.
  func headers(
    _ method: String, path: String, query: [(name: String, value: String)],
    headers: [(name: String, value: String)], digest: [UInt8]
  ) -> [(name: String, value: String)] {
    let bodyDigest = Hexadecimal.text(digest)
    var added = [("x-amz-content-sha256", bodyDigest), ("x-amz-date", time)]
    if let token = credentials.sessionToken { added.append(("x-amz-security-token", token)) }
    let signed = (headers + added).sorted { $0.name < $1.name }
    let names = signed.map(\.name).joined(separator: ";")
    let canonical = [
      method, path, S3Signature.queryText(query),
      signed.map { "\($0.name):\($0.value)\n" }.joined(), names, bodyDigest,
    ].joined(separator: "\n")
    let day = String(time.prefix(8))
    let scope = "\(day)/\(region)/s3/aws4_request"
    let text =
      "AWS4-HMAC-SHA256\n\(time)\n\(scope)\n"
      + Hexadecimal.text(Digest.sha256(Array(canonical.utf8)))
    var key = Array("AWS4\(credentials.secret)".utf8)
    for part in [day, region, "s3", "aws4_request"] { key = code(part, key) }
    let signature = Hexadecimal.text(code(text, key))
    return added + [
      (
        "authorization",
        "AWS4-HMAC-SHA256 Credential=\(credentials.accessKey)/\(scope),"
          + "SignedHeaders=\(names),Signature=\(signature)"
      )
    ]
  }

  /// A query as it is sent and signed: escaped, and in the order of its names.
  static func queryText(_ query: [(name: String, value: String)]) -> String {
    query.map { (escaped($0.name), escaped($0.value)) }
      .sorted { $0 < $1 }.map { "\($0.0)=\($0.1)" }.joined(separator: "&")
  }

  private static func escaped(_ text: String) -> String { URIText.escaped(text, isPath: false) }

  private func code(_ text: String, _ key: [UInt8]) -> [UInt8] {
    let bytes = Array(text.utf8)
    return unsafe Digest.authenticationCode(of: bytes.span.bytes, key: key.span.bytes)
  }
}
