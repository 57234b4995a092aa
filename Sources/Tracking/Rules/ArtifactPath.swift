/// The rules for the path of a run's file.
enum ArtifactPath {
  /// The longest path, in bytes.
  static let bytesMax = 1_024

  /// What is wrong with a file's path, for people; nil when nothing is.
  static func problem(_ path: String) -> String? {
    let bytes = path.utf8
    if bytes.isEmpty { return "must not be empty" }
    if bytes.count > bytesMax { return "must be at most \(bytesMax) bytes, is \(bytes.count)" }
    if bytes.first == UInt8(ascii: "/") { return "must not begin with /" }
    if path.unicodeScalars.contains(where: { $0.value < 32 || (127...159).contains($0.value) }) {
      return "must not contain control characters"
    }
    for part in bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
      if part.isEmpty { return "must not have an empty name between, before or behind its /" }
      if part.elementsEqual(".".utf8) || part.elementsEqual("..".utf8) {
        return "must not have the names . and .."
      }
    }
    return nil
  }

  /// The paths of the folders that a file is in, from the topmost on.
  static func folders(of path: String) -> [String] {
    path.utf8.indices.filter { path.utf8[$0] == UInt8(ascii: "/") }.map { String(path[..<$0]) }
  }

  /// The bounds of the paths in a folder: from the first on, and below the second.
  static func bounds(ofFolder path: String) -> (first: String, end: String) {
    // "0" is what follows "/", and nothing is greater than the greatest scalar.
    path.isEmpty ? ("", "\u{10FFFF}") : (path + "/", path + "0")
  }
}
