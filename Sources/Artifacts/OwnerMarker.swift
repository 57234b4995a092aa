/// The object of a store that says whose it is: the id of one database, and a line's end.
///
/// Its name is no organization's id, so that none of them ever has it among its files.
enum OwnerMarker {
  static let name = "installation"
  /// The most bytes of it that are looked at; ids are far shorter.
  static let bytesMax = 128

  static func content(_ owner: String) -> [UInt8] { Array("\(owner)\n".utf8) }

  /// Whose it is; what nobody here has written is told as well as it can be, and is no database's.
  static func owner(_ content: [UInt8]) -> String {
    var bytes = content.prefix(bytesMax)[...]
    if bytes.last == UInt8(ascii: "\n") { bytes = bytes.dropLast() }
    if bytes.isEmpty { return "?" }
    return String(
      decoding: bytes.map { URIText.isPlain($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
  }
}
