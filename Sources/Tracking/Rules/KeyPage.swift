internal import RPC

/// A page of a listing in the order of keys, which ends early where values are long.
struct KeyPage {
  let purpose: String
  let size: Int

  /// Where the page begins: after this key; empty for the first page.
  func start(_ token: String) throws(CallError) -> String {
    if token.isEmpty { return "" }
    guard let key = Token.readText(token, for: purpose) else { throw pageTokenInvalid() }
    return key
  }

  /// One more than the caller gets, which tells whether there is a next page.
  var rowsToRead: Int64 { Int64(size) + 1 }

  /// The token of the page after these rows; empty when there is none.
  func next(_ rows: [(key: String, value: String)]) -> String {
    let bytes = rows.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
    let isCut = rows.count > size || bytes > DescriptionBounds.pageBytesMax
    guard isCut, let last = rows.prefix(size).last else { return "" }
    return Token.make(Array(last.key.utf8), for: purpose)
  }
}
