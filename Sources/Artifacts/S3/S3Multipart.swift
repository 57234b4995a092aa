extension S3Client {
  /// Parts that are copied at once for one object.
  private static let copiesMax = 4

  /// Makes an object of others, in their order; all or nothing of it is to be seen.
  func compose(_ key: String, of sources: [String]) async throws(ArtifactStoreError) {
    if sources.count == 1 {
      var request = S3Request("PUT", key)
      request.headers = [("x-amz-copy-source", copySource(sources[0]))]
      _ = try S3Client.etag(ofCopy: try await ask(request))
      return
    }
    var beginning = S3Request("POST", key)
    beginning.query = [("uploads", "")]
    let answer = String(decoding: try await ask(beginning).body, as: UTF8.self)
    guard let id = XMLText.first("UploadId", in: answer).map(String.init) else {
      throw .failed("S3: the beginning of a multipart upload is not to be understood")
    }
    do throws(ArtifactStoreError) {
      try await complete(key, id, try await copyParts(key, id, sources))
    } catch {
      // The first error is what counts; what is left is found by housekeeping.
      try? await abort(key, id)
      throw error
    }
  }

  /// Forgets a multipart upload; nothing happens where it is not there.
  func abort(_ key: String, _ id: String) async throws(ArtifactStoreError) {
    var request = S3Request("DELETE", key)
    request.query = [("uploadId", id)]
    _ = try await ask(request, or: [404])
  }

  /// Copies the parts, some at once; returns their ETags.
  private func copyParts(
    _ key: String, _ id: String, _ sources: [String]
  ) async throws(ArtifactStoreError) -> [String] {
    var etags: [String] = []
    while etags.count < sources.count {
      let start = etags.count
      let end = min(start + S3Client.copiesMax, sources.count)
      let results = await withTaskGroup(
        of: (Int, Result<String, ArtifactStoreError>).self
      ) { group in
        for index in start..<end {
          group.addTask { [self] in
            do throws(ArtifactStoreError) {
              return (index, .success(try await copyPart(key, id, index + 1, sources[index])))
            } catch {
              return (index, .failure(error))
            }
          }
        }
        return await group.reduce(into: []) { $0.append($1) }
      }
      for (_, result) in results.sorted(by: { $0.0 < $1.0 }) { etags.append(try result.get()) }
    }
    return etags
  }

  private func copyPart(
    _ key: String, _ id: String, _ number: Int, _ source: String
  ) async throws(ArtifactStoreError) -> String {
    var request = S3Request("PUT", key)
    request.query = [("partNumber", String(number)), ("uploadId", id)]
    request.headers = [("x-amz-copy-source", copySource(source))]
    return try S3Client.etag(ofCopy: try await ask(request))
  }

  private func complete(
    _ key: String, _ id: String, _ etags: [String]
  ) async throws(ArtifactStoreError) {
    var request = S3Request("POST", key)
    request.query = [("uploadId", id)]
    let parts = etags.enumerated().map {
      "<Part><PartNumber>\($0.offset + 1)</PartNumber><ETag>\($0.element)</ETag></Part>"
    }.joined()
    request.body = Array("<CompleteMultipartUpload>\(parts)</CompleteMultipartUpload>".utf8)
    _ = try S3Client.etag(ofCopy: try await ask(request))
  }

  /// The ETag in an answer, as it stands in XML: what takes long begins with a success and may
  /// still end with an error.
  private static func etag(ofCopy answer: S3Answer) throws(ArtifactStoreError) -> String {
    let text = String(decoding: answer.body, as: UTF8.self)
    if let etag = XMLText.first("ETag", in: text), !etag.isEmpty { return String(etag) }
    let code = XMLText.first("Code", in: text) ?? "an answer is not to be understood"
    throw .away(String(code))
  }

  /// The multipart uploads that were begun for keys that begin with `prefix`, before a time in
  /// seconds since 1970; the first thousand.
  func multipartUploads(
    _ prefix: String, before: Int64
  ) async throws(ArtifactStoreError) -> [(key: String, id: String)] {
    var request = S3Request("GET")
    request.query = [("uploads", ""), ("prefix", prefix)]
    let text = String(decoding: try await ask(request).body, as: UTF8.self)
    return XMLText.all("Upload", in: text).compactMap { upload in
      guard let key = XMLText.first("Key", in: upload),
        let id = XMLText.first("UploadId", in: upload),
        let begun = XMLText.first("Initiated", in: upload).flatMap({ S3Time.read($0) }),
        begun <= before, key.hasPrefix(prefix)
      else { return nil }
      return (String(key), String(id))
    }
  }
}
