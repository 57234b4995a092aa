internal import TLS

/// What is between the tags of XML that S3 writes: no attributes are asked for, none is nested in
/// one of its own name.
enum XMLText {
  /// The first element's content, its entities as they are.
  static func first(_ name: String, in text: some StringProtocol) -> Substring? {
    all(name, in: text, most: 1).first
  }

  /// The content of every element of a name.
  static func all(_ name: String, in text: some StringProtocol, most: Int = .max) -> [Substring] {
    let bytes = Array(text.utf8)
    let (opening, closing) = (Array("<\(name)>".utf8), Array("</\(name)>".utf8))
    var found: [Substring] = []
    var start = 0
    while found.count < most, let from = position(of: opening, in: bytes, from: start),
      let to = position(of: closing, in: bytes, from: from + opening.count)
    {
      found.append(
        Substring(String(decoding: bytes[(from + opening.count)..<to], as: UTF8.self)))
      start = to + closing.count
    }
    return found
  }

  private static func position(of part: [UInt8], in bytes: [UInt8], from start: Int) -> Int? {
    var index = start
    while index + part.count <= bytes.count {
      // The first character of every tag is rare in what is between them.
      if bytes[index] == part[0], bytes[index..<(index + part.count)].elementsEqual(part) {
        return index
      }
      index += 1
    }
    return nil
  }
}

/// An object in a listing.
struct S3Object: Sendable, Equatable {
  let key: String
  let sizeBytes: Int64
  /// Seconds since 1970.
  let changedAt: Int64
}

/// A page of a listing.
struct S3Listing: Sendable {
  let objects: [S3Object]
  /// What keys begin with up to the delimiter.
  let prefixes: [String]
  /// Where the next page begins; nil at the end.
  let token: String?

  init(_ body: [UInt8]) throws(ArtifactStoreError) {
    let text = String(decoding: body, as: UTF8.self)
    guard XMLText.first("Name", in: text) != nil else {
      throw .failed("S3: a listing is not to be understood")
    }
    objects = try XMLText.all("Contents", in: text).map { entry throws(ArtifactStoreError) in
      guard let key = XMLText.first("Key", in: entry),
        let size = XMLText.first("Size", in: entry).flatMap({ Int64($0) }),
        let changed = XMLText.first("LastModified", in: entry).flatMap({ S3Time.read($0) })
      else { throw .failed("S3: an object of a listing is not to be understood") }
      return S3Object(key: String(key), sizeBytes: size, changedAt: changed)
    }
    prefixes = XMLText.all("CommonPrefixes", in: text).compactMap {
      XMLText.first("Prefix", in: $0).map(String.init)
    }
    let isTruncated = XMLText.first("IsTruncated", in: text) == "true"
    token =
      isTruncated ? XMLText.first("NextContinuationToken", in: text).map(String.init) : nil
  }
}

extension S3Client {
  /// One page of the objects whose keys begin with `prefix`, in the order of their keys.
  func page(
    _ prefix: String, delimiter: String = "", after key: String = "", token: String? = nil
  ) async throws(ArtifactStoreError) -> S3Listing {
    var request = S3Request("GET")
    request.query = [("list-type", "2"), ("prefix", prefix)]
    if !delimiter.isEmpty { request.query.append(("delimiter", delimiter)) }
    if let token {
      request.query.append(("continuation-token", token))
    } else if !key.isEmpty {
      request.query.append(("start-after", key))
    }
    return try S3Listing(try await ask(request).body)
  }

  /// Every object whose key begins with `prefix`: to be asked of what is known to be few.
  func objects(_ prefix: String) async throws(ArtifactStoreError) -> [S3Object] {
    var found: [S3Object] = []
    var token: String?
    repeat {
      let listing = try await page(prefix, token: token)
      found += listing.objects
      token = listing.token
    } while token != nil
    return found
  }

  /// Removes objects; nothing happens to what is not there.
  func delete(_ keys: [String]) async throws(ArtifactStoreError) {
    if keys.count == 1 {
      _ = try await ask(S3Request("DELETE", keys[0]), or: [404])
      return
    }
    for start in stride(from: 0, to: keys.count, by: 1_000) {
      let part = keys[start..<min(start + 1_000, keys.count)]
      var request = S3Request("POST")
      request.query = [("delete", "")]
      let objects = part.map { "<Object><Key>\($0)</Key></Object>" }.joined()
      request.body = Array("<Delete><Quiet>true</Quiet>\(objects)</Delete>".utf8)
      request.headers = [("x-amz-checksum-sha256", Base64.text(Digest.sha256(request.body)))]
      let answer = String(decoding: try await ask(request).body, as: UTF8.self)
      if let code = XMLText.first("Code", in: answer), code != "NoSuchKey" {
        throw .failed("S3: an object cannot be removed: \(code)")
      }
    }
  }
}
