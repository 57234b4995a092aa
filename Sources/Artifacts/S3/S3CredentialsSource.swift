internal import EventLoop
internal import Glibc

/// Where the keys come from: a file, else the environment.
struct S3CredentialsSource: Sendable {
  /// The largest file, in bytes.
  private static let fileBytesMax = 64 << 10

  let file: String?

  /// Reads them; a file is read again each time, since keys that last for a while are replaced.
  ///
  /// - Throws: ``ArtifactStoreError`` `denied` that says what is wrong, never the keys.
  func read() throws(ArtifactStoreError) -> S3Credentials {
    guard let file else { return try readEnvironment() }
    let content: [UInt8]
    do throws(ArtifactStoreError) {
      let descriptor = try openFile(file, O_RDONLY)
      var facts = stat()
      guard unsafe fstat(descriptor.number, &facts) == 0 else { throw fileError("fstat") }
      guard facts.st_mode & 0o077 == 0 else {
        throw .denied("\(file) can be read by others than its owner")
      }
      content = try readBytes(descriptor, at: 0, count: S3CredentialsSource.fileBytesMax)
    } catch {
      if case .denied = error { throw error }
      throw .denied("\(file) cannot be read: \(error)")
    }
    return try S3CredentialsSource.parse(String(decoding: content, as: UTF8.self), file)
  }

  /// Reads the profile `default`, or what stands before any profile.
  static func parse(_ text: String, _ file: String) throws(ArtifactStoreError) -> S3Credentials {
    var values: [String: String] = [:]
    var isOurs = true
    for line in text.split(whereSeparator: \.isNewline) {
      let line = trimmed(line)
      if line.hasPrefix("[") {
        isOurs = line == "[default]"
      } else if isOurs, !line.hasPrefix("#"), let equals = line.firstIndex(of: "=") {
        values[trimmed(line[..<equals])] = trimmed(line[line.index(after: equals)...])
      }
    }
    return try make(
      values["aws_access_key_id"], values["aws_secret_access_key"], values["aws_session_token"],
      "\(file) has no aws_access_key_id and aws_secret_access_key in [default]")
  }

  private func readEnvironment() throws(ArtifactStoreError) -> S3Credentials {
    func value(_ name: String) -> String? {
      guard let text = unsafe getenv(name) else { return nil }
      return unsafe String(cString: text)
    }
    return try S3CredentialsSource.make(
      value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"), value("AWS_SESSION_TOKEN"),
      "set artifact-s3-credentials-file, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
  }

  /// Makes sure that nothing can break out of a header's line.
  private static func make(
    _ accessKey: String?, _ secret: String?, _ token: String?, _ problem: String
  ) throws(ArtifactStoreError) -> S3Credentials {
    guard let accessKey, let secret, !accessKey.isEmpty, !secret.isEmpty else {
      throw .denied(problem)
    }
    for text in [accessKey, token ?? ""] {
      guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
        throw .denied("the access key or the session token has characters that none can have")
      }
    }
    return S3Credentials(
      accessKey: accessKey, secret: secret, sessionToken: token.flatMap { $0.isEmpty ? nil : $0 })
  }

  private static func trimmed(_ text: Substring) -> String {
    var text = text
    while let last = text.last, last.isWhitespace { text.removeLast() }
    return String(text.drop { $0.isWhitespace })
  }
}
