internal import Messages
public import Postgres

/// A page of a listing whose order is that of its identifiers, newest first.
public struct Page {
  /// What the listing is of; a token of another listing is refused.
  public let purpose: String
  /// How many rows the caller gets.
  public let size: Int

  /// Describes a page.
  public init(purpose: String, size: Int) {
    self.purpose = purpose
    self.size = size
  }

  /// One more than the caller gets, which tells whether there is a next page.
  public var rowsToRead: Int64 { Int64(size) + 1 }

  /// Where the page begins: below this identifier; nil for the first page.
  public func start(_ token: String) throws(CallError) -> UUID? {
    if token.isEmpty { return nil }
    guard let content = Token.read(token, for: purpose), let id = UUID(bytes: content) else {
      throw pageTokenInvalid()
    }
    return id
  }

  /// The token of the page after these rows; empty when there is none.
  public func next(_ ids: [UUID]) -> String {
    ids.count > size ? token(after: ids[size - 1]) : ""
  }

  /// The token of the page after this identifier, of a page that ended early.
  public func token(after id: UUID) -> String { Token.make(id.bytes, for: purpose) }
}

/// What a caller hears of a page token that is not one of this listing.
public func pageTokenInvalid() -> CallError {
  CallError(
    RpcErrorReason.pageTokenInvalid,
    "The page_token is not one that this listing gave; begin again without it.")
}
