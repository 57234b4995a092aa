internal import Messages

/// Refuses a change of something that has changed since the caller saw it.
public func checkETag(_ etag: String, revision: Int64) throws(CallError) {
  guard etag.isEmpty || etag == String(revision) else {
    throw CallError(
      RpcErrorReason.etagMismatch,
      "It was changed since you read it; read it again and repeat your change on that.",
      details: ["current_etag": String(revision)])
  }
}
