internal import Messages
internal import Postgres
internal import RPC

/// A page of a listing whose order is that of its identifiers, newest first.
struct Page {
  /// What the listing is of; a token of another listing is refused.
  let purpose: String
  /// How many rows the caller gets.
  let size: Int

  /// One more than the caller gets, which tells whether there is a next page.
  var rowsToRead: Int64 { Int64(size) + 1 }

  /// Where the page begins: below this identifier; nil for the first page.
  func start(_ token: String) throws(CallError) -> UUID? {
    if token.isEmpty { return nil }
    guard let content = Token.read(token, for: purpose), let id = UUID(bytes: content) else {
      throw pageTokenInvalid()
    }
    return id
  }

  /// The token of the page after these rows; empty when there is none.
  func next(_ ids: [UUID]) -> String {
    ids.count > size ? Token.make(ids[size - 1].bytes, for: purpose) : ""
  }
}

/// What a caller hears of a page token that is not one of this listing.
func pageTokenInvalid() -> CallError {
  CallError(
    RpcErrorReason.pageTokenInvalid,
    "The page_token is not one that this listing gave; begin again without it.")
}
