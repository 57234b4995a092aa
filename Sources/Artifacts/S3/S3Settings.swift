internal import Glibc

/// Where a bucket is, and what bounds its requests.
public struct S3Settings: Sendable, Equatable {
  /// How a bucket is named in a request.
  public enum Style: String, CaseIterable, Sendable {
    /// In the path: what servers of one's own expect.
    case path
    /// In the host's name: what Amazon expects of new buckets.
    case host
  }

  /// The smallest segment, in bytes: what S3 takes as a part that is not the last.
  public static let segmentBytesMin = 5 << 20
  /// The largest segment, in bytes; every upload under way holds one in memory.
  public static let segmentBytesMax = 256 << 20
  /// Parts that S3 puts together at most.
  static let partsMax = 10_000

  /// Like `https://s3.eu-central-1.amazonaws.com`, without a path; nil = not set.
  public var endpoint: String?
  /// The bucket, which must exist; nil = not set.
  public var bucket: String?
  /// What signatures name as the region.
  public var region = "us-east-1"
  /// What every key begins with: names that each end in a slash, or nothing.
  public var prefix = ""
  /// How the bucket is named.
  public var style = Style.path
  /// A file with the keys, as the AWS command line has it; nil = the environment's.
  public var credentialsFile: String?
  /// A PEM file of the authorities that may vouch for the endpoint; nil = the system's.
  public var authorityFile: String?
  /// Requests at once.
  public var requestsMax = 16
  /// Bytes that are sent at once, and of which an upload holds as many in memory.
  public var segmentBytes = 16 << 20
  /// Time for a connection to come about.
  public var connectTimeout = Duration.seconds(5)
  /// Time after which a request of which nothing moves is given up.
  public var stallTimeout = Duration.seconds(20)
  /// Time for one request.
  public var requestTimeout = Duration.seconds(300)

  /// Makes settings with every bound at its default.
  public init() {}

  /// The largest file, in bytes.
  var fileBytesMax: Int64 { Int64(segmentBytes) * Int64(S3Settings.partsMax) }

  /// Whether a text can be a bucket's name.
  public static func isBucket(_ text: String) -> Bool {
    (3...63).contains(text.utf8.count) && !text.hasPrefix(".") && !text.hasPrefix("-")
      && text.utf8.allSatisfy { isLowerCaseOrDigit($0) || $0 == dash || $0 == dot }
  }

  /// Whether a text can be a region's name.
  public static func isRegion(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count)
      && text.utf8.allSatisfy { isLowerCaseOrDigit($0) || $0 == dash }
  }

  /// Whether a text can be what keys begin with: at most 512 bytes.
  public static func isPrefix(_ text: String) -> Bool {
    guard text.utf8.count <= 512 else { return false }
    guard text.hasSuffix("/") else { return text.isEmpty }
    return text.dropLast().split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
      !$0.isEmpty && $0 != "." && $0 != ".." && $0.utf8.allSatisfy(URIText.isPlain)
    }
  }

  /// Whether a text can be an endpoint: a scheme, a host, perhaps a port.
  public static func isEndpoint(_ text: String) -> Bool { Endpoint(text) != nil }

  private static let dash = UInt8(ascii: "-")
  private static let dot = UInt8(ascii: ".")

  private static func isLowerCaseOrDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
      || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }
}

/// Where requests go.
struct Endpoint: Sendable, Equatable {
  /// `http` or `https`.
  let scheme: String
  /// The host, and the port where it is not the scheme's own.
  let authority: String

  /// Reads `scheme://host[:port]`, with or without a slash at the end.
  init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 3 || (parts.count == 4 && parts[3].isEmpty), parts[1].isEmpty,
      parts[0] == "http:" || parts[0] == "https:"
    else { return nil }
    scheme = String(parts[0].dropLast())
    var host = parts[2].lowercased()
    let isBracketed = host.hasPrefix("[")
    let colon = host.lastIndex(of: ":")
    if let colon, !(isBracketed && host.hasSuffix("]")) {
      guard let port = UInt16(host[host.index(after: colon)...]), port > 0 else { return nil }
      host = String(host[..<colon])
      authority = port == (scheme == "https" ? 443 : 80) ? host : "\(host):\(port)"
    } else {
      authority = host
    }
    let name = isBracketed ? host.dropFirst().dropLast() : host[...]
    guard !name.isEmpty, !isBracketed || host.hasSuffix("]"),
      name.utf8.allSatisfy({ byte in
        isBracketed ? URIText.isPlain(byte) || byte == UInt8(ascii: ":") : URIText.isPlain(byte)
      })
    else { return nil }
  }
}
