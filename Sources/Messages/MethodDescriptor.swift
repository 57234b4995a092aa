/// The four shapes of a call.
public enum MethodKind: Sendable, Hashable, CaseIterable {
  /// One request, one response.
  case unary
  /// One request, many responses.
  case serverStreaming
  /// Many requests, one response.
  case clientStreaming
  /// Many requests, many responses.
  case bidirectional
}

/// How a call may be repeated.
public enum MethodIdempotency: Sendable, Hashable, CaseIterable {
  /// Changes nothing: may be repeated freely.
  case read
  /// Changes state: may be repeated with the idempotency key of the first try.
  case keyed
  /// A stream that numbers what it sends and resumes after what was acknowledged.
  case sequenced
}

/// What a method declares about itself in its .proto.
public struct MethodDescriptor: Sendable, Hashable {
  /// Full name: `needletail.tracking.v1.Tracking/CreateRun`.
  public let name: String

  /// The shape of a call.
  public let kind: MethodKind

  /// What the caller must be allowed to do: `run.create`; `self` = any authenticated caller.
  public let permission: String

  /// Whether a successful call leaves an audit entry.
  public let isAudited: Bool

  /// How a call may be repeated.
  public let idempotency: MethodIdempotency

  /// A method with everything that its .proto says of it.
  public init(
    name: String, kind: MethodKind, permission: String, isAudited: Bool,
    idempotency: MethodIdempotency
  ) {
    self.name = name
    self.kind = kind
    self.permission = permission
    self.isAudited = isAudited
    self.idempotency = idempotency
  }
}
