internal import Artifacts
internal import Tracking

extension Setting {
  static let artifactSettings: [Setting] = [
    choice("artifact-store", "what keeps artifacts", \.artifacts.store),
    Setting(
      name: "artifact-folder",
      help: "where artifacts are kept: a folder's full path, or none (`up`: in its data folder)",
      show: { $0.artifacts.folder ?? "none" },
      read: { options, text in
        guard text == "none" || text.hasPrefix("/") else { return false }
        options.artifacts.folder = text == "none" ? nil : text
        return true
      }),
    text(
      "artifact-adopt",
      "the database whose store this one has taken over, as the refusal to start names it, or none",
      \.artifacts.adopted
    ) { text in
      (1...128).contains(text.utf8.count) && text.utf8.allSatisfy { (33...126).contains($0) }
    },
    number("artifact-bytes-max", "bytes of an artifact", \.artifacts.bytesMax),
    number(
      "artifact-chunk-bytes", "bytes of an artifact in one message, either way",
      // No less than the clients of this project send at once.
      \.artifacts.chunkBytes, least: 256 << 10, most: 2 << 20),
    number(
      "artifact-quota-bytes",
      "bytes of artifacts of an organization, each content once; 0 = any number",
      \.artifacts.quotaBytes, least: 0),
  ]

  /// The keys are no settings: they come from a file or from the environment, never from what
  /// everybody can see of a process.
  static let bucketSettings: [Setting] = [
    text(
      "artifact-s3-endpoint", "like https://s3.eu-central-1.amazonaws.com, or none",
      \.artifacts.s3.endpoint, S3Settings.isEndpoint),
    text(
      "artifact-s3-bucket", "the bucket's name, or none", \.artifacts.s3.bucket,
      S3Settings.isBucket),
    Setting(
      name: "artifact-s3-region", help: "the bucket's region",
      show: { $0.artifacts.s3.region },
      read: { options, text in
        guard S3Settings.isRegion(text) else { return false }
        options.artifacts.s3.region = text
        return true
      }),
    Setting(
      name: "artifact-s3-prefix",
      help: "what every key begins with: names that each end in a slash, or nothing",
      show: { $0.artifacts.s3.prefix },
      read: { options, text in
        guard S3Settings.isPrefix(text) else { return false }
        options.artifacts.s3.prefix = text
        return true
      }),
    choice("artifact-s3-style", "where requests name the bucket", \.artifacts.s3.style),
    text(
      "artifact-s3-credentials-file",
      "a file with the keys, as the AWS command line has it: its full path, or none",
      \.artifacts.s3.credentialsFile
    ) { $0.hasPrefix("/") },
    text(
      "artifact-s3-ca-file",
      "the authorities that vouch for the endpoint, PEM: a full path, or none for the system's",
      \.artifacts.s3.authorityFile
    ) { $0.hasPrefix("/") },
    number(
      "artifact-s3-requests-max", "requests to the bucket at once", \.artifacts.s3.requestsMax,
      most: 256),
    number(
      "artifact-s3-segment-bytes",
      "bytes sent to the bucket at once, and as many in memory for every upload; times 10000 = "
        + "the largest file",
      \.artifacts.s3.segmentBytes, least: S3Settings.segmentBytesMin,
      most: S3Settings.segmentBytesMax),
    duration(
      "artifact-s3-connect-timeout", "time to connect to the bucket",
      \.artifacts.s3.connectTimeout),
    duration(
      "artifact-s3-stall-timeout",
      "time after which a request to the bucket of which nothing moves is given up",
      \.artifacts.s3.stallTimeout),
    duration(
      "artifact-s3-request-timeout", "time for one request to the bucket",
      \.artifacts.s3.requestTimeout),
  ]

  private static func text(
    _ name: String, _ help: String, _ path: Path<String?>,
    _ isGood: @escaping @Sendable (String) -> Bool
  ) -> Setting {
    Setting(
      name: name, help: help,
      show: { $0[keyPath: path] ?? "none" },
      read: { options, text in
        guard text == "none" || isGood(text) else { return false }
        options[keyPath: path] = text == "none" ? nil : text
        return true
      })
  }
}
