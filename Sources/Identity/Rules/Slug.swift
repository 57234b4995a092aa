internal import Postgres
internal import RPC

/// The short names of projects, which stand where an identifier may stand, too.
enum Slug {
  /// Makes a slug of a name.
  ///
  /// It has the name's letters a-z and digits, in lower case, and a dash for whatever lies between
  /// them; it is empty when there are none.
  static func made(of name: String) -> String {
    var slug: [UInt8] = []
    for byte in name.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
        slug.append(byte)
      case UInt8(ascii: "A")...UInt8(ascii: "Z"):
        slug.append(byte | 0x20)
      default:
        if let last = slug.last, last != dash { slug.append(dash) }
      }
    }
    slug = Array(slug.prefix(Validator.slugBytesMax))
    while slug.last == dash { slug.removeLast() }
    return String(decoding: slug, as: UTF8.self)
  }

  private static let dash = UInt8(ascii: "-")

  /// Checks a slug, also that nobody can take it for an identifier.
  static func check(_ slug: String, _ validator: inout Validator) {
    validator.slug("slug", slug)
    if UUID(slug) != nil { validator.refuse("slug", "must not look like a UUID") }
  }
}
