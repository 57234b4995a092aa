public import RPC

/// `needletail.tracking.v1.Tracking`: experiments, runs and their metrics.
///
/// The method table is generated from the .proto; a method's handler is in the file of its resource.
public struct TrackingService: TrackingHandlers {
  /// Makes the service; it keeps nothing.
  public init() {}
}

extension CallContext {
  /// Whether the caller sees every project of the organization, whoever its members are.
  var seesAllProjects: Bool { principal.role == "admin" }
}
